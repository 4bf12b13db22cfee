//! Which of the trusted listings the buyer uses.

use super::manifest::{Listing, Manifest};
use super::spelling;
use crate::exit::{Exit, Why};

/// Why no listing was chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoListing {
    /// The product has several, and the buyer named none.
    #[error("the product has several listings, and TOLLGATE_LISTING is not set")]
    NotChosen {
        /// The ids to choose among.
        known: Vec<String>,
    },
    /// The buyer named one that the vendor did not.
    #[error("TOLLGATE_LISTING: {named:?} is not a listing of this product{hint}")]
    Unknown {
        /// What the buyer named.
        named: String,
        /// The nearest id, in words; may be empty.
        hint: String,
        /// The ids to choose among.
        known: Vec<String>,
    },
}

/// Chooses by the value of `TOLLGATE_LISTING`; a product with one listing needs none.
///
/// # Errors
/// [`NoListing`] if the choice is missing or not among the listings of the manifest.
pub fn choose<'m>(manifest: &'m Manifest, named: Option<&str>) -> Result<&'m Listing, NoListing> {
    let known = || manifest.listings.iter().map(|listing| listing.id.clone()).collect();
    match (named, manifest.listings.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(NoListing::NotChosen { known: known() }),
        (Some(named), listings) => listings.iter().find(|listing| listing.id == named).ok_or_else(|| {
            let hint = spelling::hint(named, listings.iter().map(|listing| listing.id.as_str()));
            NoListing::Unknown { named: named.to_owned(), hint, known: known() }
        }),
    }
}

impl NoListing {
    /// The operator's words.
    pub fn exit(&self) -> Exit {
        let (Self::NotChosen { known } | Self::Unknown { known, .. }) = self;
        let next = format!("set TOLLGATE_LISTING to the listing you subscribed to, one of: {}", known.join(", "));
        Exit::new(Why::Configuration, self.to_string(), "", next)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn product(ids: &[&str]) -> Manifest {
        let listings: Vec<String> = ids
            .iter()
            .map(|id| {
                format!(
                    "[[listing]]\nid = {id:?}\nproduct_code = \"c\"\npricing = \"custom\"\nentitlement = \"dry-run\"\n"
                )
            })
            .collect();
        let rest = "[product]\nname = \"p\"\nversion = \"1\"\n[[dimension]]\nkey = \"d\"\nfrom = \"guest\"\n\
                    [[component]]\nid = \"c\"\nsource = \"c.wasm\"\nrun = \"http\"\n";
        Manifest::parse(&(listings.concat() + rest), Path::new("/p")).unwrap()
    }

    #[test]
    fn a_single_listing_needs_no_choice() {
        assert_eq!(choose(&product(&["paid"]), None).unwrap().id, "paid");
    }

    #[test]
    fn the_buyer_chooses_among_the_vendors_listings_only() {
        let product = product(&["paid", "annual"]);
        assert_eq!(choose(&product, Some("annual")).unwrap().id, "annual");
        insta::assert_snapshot!(choose(&product, None).unwrap_err().exit().message(), @r"
        tollgate-host: bad configuration (exit 64)
          what : the product has several listings, and TOLLGATE_LISTING is not set
          next : set TOLLGATE_LISTING to the listing you subscribed to, one of: paid, annual
        ");
        insta::assert_snapshot!(choose(&product, Some("anual")).unwrap_err().exit().message(), @r#"
        tollgate-host: bad configuration (exit 64)
          what : TOLLGATE_LISTING: "anual" is not a listing of this product (did you mean "annual"?)
          next : set TOLLGATE_LISTING to the listing you subscribed to, one of: paid, annual
        "#);
    }
}
