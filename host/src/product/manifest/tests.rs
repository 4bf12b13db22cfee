use super::*;
use tollgate_runtime::meter::Measure;

const GOOD: &str = r#"
[product]
name = "thumbnails"
version = "1.4.0"

[[listing]]
id = "paid"
product_code = "abc123"
pricing = "custom"
entitlement_dimension = "images"

[[dimension]]
key = "images"
from = "guest"
[[dimension]]
key = "gigapixels"
from = "host:compute-ms"
per = 1_000_000_000
max_per_hour = 5000

[[component]]
id = "api"
source = "api.wasm"
run = "http"
env = ["LOG_LEVEL"]
egress = ["https://api.example.com"]
exclude_paths = ["/healthz"]
"#;

/// Parses in a folder with one good public key, `key.pem`, and one that is none, `short.pem`.
fn parse(text: &str) -> Result<Manifest, ManifestErrors> {
    let folder = tempfile::tempdir().unwrap();
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    std::fs::write(folder.path().join("key.pem"), crate::entitlement::jwt::pem(&key)).unwrap();
    std::fs::write(folder.path().join("short.pem"), "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n").unwrap();
    Manifest::parse(text, folder.path())
}

fn mistakes(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// The good manifest with one line replaced.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?} is not in the good manifest");
    mistakes(&GOOD.replacen(from, to, 1))
}

#[test]
fn a_good_manifest_becomes_a_product() {
    let manifest = Manifest::parse(GOOD, Path::new("/product")).unwrap();
    assert_eq!(manifest.product, ProductName { name: "thumbnails".into(), version: "1.4.0".into() });
    assert_eq!(manifest.listings[0].entitlement, Entitlement::ZeroRecord { dimension: "images".into() });
    assert_eq!(manifest.dimensions[0].per, 1);
    assert_eq!(manifest.dimensions[1].from, Source::Host(Measure::ComputeMs));
    assert_eq!(manifest.dimensions[1].max_per_hour, Some(5000));
    assert_eq!(manifest.components[0].source, Path::new("/product/api.wasm"));
    assert_eq!(manifest.components[0].route, "/");
    assert_eq!(manifest.components[0].egress, [Origin::parse("https://api.example.com").unwrap()]);
    assert_eq!(manifest.limits, Limits::default());
    assert_eq!(manifest.metering.stop_after_s, 14_400);
}

#[test]
fn five_mistakes_are_reported_at_once() {
    let text = r#"
[product]
name = "Thumbnails"
version = "1.4.0"

[[listing]]
id = "paid"
product_code = "abc123"
pricing = "custum"

[[dimension]]
key = "images"
from = "guest"
max_per_hours = 5
per = 0

[[component]]
id = "api"
source = "../api.wasm"
run = "http"
"#;
    insta::assert_snapshot!(mistakes(text), @r#"
    product.toml:3:8: [product] name "Thumbnails" has other than lower-case letters, digits and hyphens, or over 63
      next: choose a name such as "image-api"
    product.toml:9:11: pricing "custum" is not known (did you mean "custom"?)
      next: use one of: hourly, monthly, custom, free, byol
    product.toml:14:1: [[dimension]] has no key "max_per_hours" (did you mean "max_per_hour"?)
      next: remove it, or use one of: key, from, per, max_per_hour, tags
    product.toml:15:7: per is 0, not a number from 1 to 9223372036854775807
      next: choose a number within the bounds
    product.toml:19:10: source "../api.wasm" leads out of the product's folder
      next: use a path relative to product.toml, without ..
    "#);
}

#[test]
fn an_empty_manifest_is_told_what_it_lacks() {
    insta::assert_snapshot!(mistakes(""), @r"
    product.toml:1:1: [product] is missing
      next: add [product] with name and version
    product.toml:1:1: there is no [[component]]
      next: add one; without it there is nothing to run
    product.toml:1:1: there is no [[listing]]
      next: add one; without it nobody can be asked for entitlement
    ");
}

#[test]
fn broken_toml_is_told_with_its_place() {
    insta::assert_snapshot!(mistakes("[product\nname = \"x\"\n"), @r"
    product.toml:1:9: not TOML: unclosed table, expected `]`
      next: correct the syntax at this place
    ");
}

#[test]
fn a_key_of_the_wrong_type_is_told() {
    insta::assert_snapshot!(changed("max_per_hour = 5000", "max_per_hour = \"5000\""), @r"
    product.toml:19:16: max_per_hour is of type string, not a whole number
      next: write digits without quotes
    ");
}

#[test]
fn the_entitlement_dimension_must_be_declared() {
    insta::assert_snapshot!(changed("entitlement_dimension = \"images\"", "entitlement_dimension = \"image\""), @r#"
    product.toml:10:25: entitlement_dimension "image" is not declared (did you mean "images"?)
      next: add a [[dimension]] with this key
    "#);
}

#[test]
fn a_custom_listing_must_say_how_it_is_proven() {
    insta::assert_snapshot!(changed("entitlement_dimension = \"images\"", ""), @r#"
    product.toml:6:1: a custom listing says nothing about its entitlement
      next: write entitlement_dimension = "..." (a zero record on it proves the subscription) or the weaker entitlement = "dry-run"
    "#);
    insta::assert_snapshot!(changed("entitlement_dimension = \"images\"", "entitlement = \"dryrun\""), @r#"
    product.toml:10:15: entitlement "dryrun" is not known
      next: write entitlement_dimension = "..." (a zero record on it proves the subscription) or the weaker entitlement = "dry-run"
    "#);
}

#[test]
fn a_dry_run_is_made_on_the_first_dimension() {
    let text = GOOD.replacen("entitlement_dimension = \"images\"", "entitlement = \"dry-run\"", 1);
    assert_eq!(parse(&text).unwrap().listings[0].entitlement, Entitlement::DryRun { dimension: "images".into() });
}

#[test]
fn an_hourly_listing_needs_a_public_key() {
    let custom = "pricing = \"custom\"\nentitlement_dimension = \"images\"";
    insta::assert_snapshot!(changed(custom, "pricing = \"hourly\""), @r#"
    product.toml:6:1: an hourly or monthly listing has no public_keys
      next: write public_keys = { 1 = "keys/1.pem" }; key and version are on the product's page in the portal
    "#);
    insta::assert_snapshot!(changed(custom, "pricing = \"hourly\"\npublic_keys = { 1 = \"none.pem\", v2 = \"short.pem\" }"), @r#"
    product.toml:10:21: "none.pem" cannot be read: No such file or directory (os error 2)
      next: put the product's public key there; the portal shows it
    product.toml:10:33: public_keys: "v2" is not a key version
      next: use the number the portal shows with the key
    product.toml:10:38: "short.pem" is not a PEM public key (RSA, 2048 to 8192 bits)
      next: copy the key from the portal, with its BEGIN and END lines
    "#);
    let text = GOOD.replacen(custom, "pricing = \"hourly\"\npublic_keys = { 1 = \"key.pem\" }", 1);
    let Entitlement::Register { keys } = &parse(&text).unwrap().listings[0].entitlement else { panic!("not hourly") };
    assert!(keys[&1].starts_with("-----BEGIN PUBLIC KEY-----"));
}

#[test]
fn keys_of_other_pricings_are_refused() {
    insta::assert_snapshot!(changed("pricing = \"custom\"", "pricing = \"free\""), @r"
    product.toml:10:25: entitlement_dimension has no meaning here: it belongs to custom listings
      next: remove it, or correct pricing
    ");
}

#[test]
fn a_display_name_is_not_a_key() {
    insta::assert_snapshot!(changed("key = \"gigapixels\"", "key = \"Billions of pixels\""), @r#"
    product.toml:16:7: key "Billions of pixels" is not an API identifier; it may be the display name
      next: use the API identifier of the dimension, not its title
    "#);
}

#[test]
fn an_unknown_source_of_units_is_told_what_there_is() {
    insta::assert_snapshot!(changed("host:compute-ms", "host:compute"), @r#"
    product.toml:17:8: from "host:compute" is not known (did you mean "host:compute-ms"?)
      next: use one of: guest, host:requests, host:responses-ok, host:request-bytes, host:response-bytes, host:compute-ms, host:wall-ms
    "#);
}

#[test]
fn guests_see_no_credentials() {
    insta::assert_snapshot!(changed("\"LOG_LEVEL\"", "\"AWS_SECRET_ACCESS_KEY\", \"A=B\""), @r#"
    product.toml:25:8: env "AWS_SECRET_ACCESS_KEY" belongs to the platform or to the host; guests never see it
      next: choose a name of the product's own
    product.toml:25:33: env "A=B" is not the name of a variable
      next: name the variable only; the operator gives the value
    "#);
}

#[test]
fn an_egress_origin_is_exact_and_of_the_internet() {
    let egress = |origins: &str| changed("\"https://api.example.com\"", origins);
    let bad = r#""https://api.example.com/v1", "https://*.example.com", "http://169.254.170.2", "https://metering.marketplace.us-east-1.amazonaws.com""#;
    insta::assert_snapshot!(egress(bad), @r#"
    product.toml:26:11: egress "https://api.example.com/v1": it is more than a scheme, a host and a port: write it without path, query, user name and trailing slash
      next: write an origin such as "https://api.example.com"
    product.toml:26:41: egress "https://*.example.com": wildcards are not supported: name each host
      next: write an origin such as "https://api.example.com"
    product.toml:26:66: egress "http://169.254.170.2": it is metadata or credentials of the platform, which guests never reach
      next: write an origin such as "https://api.example.com"
    product.toml:26:90: egress "https://metering.marketplace.us-east-1.amazonaws.com": the host alone speaks to this service
      next: remove it; guests count by the contract, and hold no credentials
    "#);
    let many: Vec<String> = (0..33).map(|n| format!("\"https://a{n}.example\"")).collect();
    insta::assert_snapshot!(egress(&many.join(", ")), @r"
    product.toml:26:10: egress has 33 origins; at most 32 are possible
      next: remove some
    ");
}

#[test]
fn routes_are_plain_paths_and_unique() {
    insta::assert_snapshot!(changed("run = \"http\"", "run = \"http\"\nroute = \"/a/../b\""), @r#"
    product.toml:25:9: route "/a/../b" is not a plain path such as "/" or "/images"
      next: start with a slash and use letters, digits and -._~
    "#);
    let second = "\n[[component]]\nid = \"two\"\nsource = \"b.wasm\"\nrun = \"http\"\n";
    insta::assert_snapshot!(mistakes(&(GOOD.to_owned() + second)), @r#"
    product.toml:29:1: route "/" is served twice under listing "paid"
      next: give each component a route of its own
    "#);
    let command = "\n[[component]]\nid = \"two\"\nsource = \"b.wasm\"\nrun = \"command\"\n";
    insta::assert_snapshot!(mistakes(&(GOOD.to_owned() + command)), @r#"
    product.toml:29:1: command "two" is not the only component of listing "paid"
      next: run one command, or only http components
    "#);
}

#[test]
fn tags_are_few_legal_and_counted_by_guests() {
    insta::assert_snapshot!(changed("from = \"guest\"", "from = \"guest\"\ntags = [\"a\", \"b\", \"c\", \"d\", \"e\", \"e!\"]"), @r#"
    product.toml:15:8: tags has 6 keys; AWS takes 5
      next: remove some
    product.toml:15:34: tag key "e!" is empty, over 100 characters, or has some that AWS does not take
      next: use letters, digits, spaces and +-=._:/@
    "#);
    insta::assert_snapshot!(changed("per = 1_000_000_000", "tags = [\"team\"]"), @r"
    product.toml:18:8: tags on a dimension that the host measures: nobody names the tags
      next: remove tags, or let the guest count
    ");
}

#[test]
fn metering_stops_neither_too_early_nor_too_late() {
    let with = |line: &str| mistakes(&format!("{GOOD}\n[metering]\n{line}\n"));
    insta::assert_snapshot!(with("stop_after_s = 3600"), @r"
    product.toml:30:16: stop_after_s is 3600, not a number from 7200 to 14400
      next: choose a number within the bounds
    ");
    insta::assert_snapshot!(with("warn_after_s = 9000\nstop_after_s = 7200"), @r"
    product.toml:30:16: warn_after_s is 9000, later than stop_after_s, 7200
      next: warn before new work is refused
    ");
    insta::assert_snapshot!(with("stop_after = 7200"), @r#"
    product.toml:30:1: [metering] has no key "stop_after" (did you mean "stop_after_s"?)
      next: remove it, or use one of: warn_after_s, stop_after_s, final_send_s, zero_records
    "#);
}

#[test]
fn a_paid_component_is_not_given_away() {
    let free = "\n[[listing]]\nid = \"free\"\nproduct_code = \"def\"\npricing = \"free\"\n";
    insta::assert_snapshot!(mistakes(&(GOOD.to_owned() + free)), @r#"
    product.toml:21:1: component "api" would run without payment under listing "free"
      next: write listings = [...] in each component, naming those it belongs to
    "#);
    let named = GOOD.replacen("run = \"http\"", "run = \"http\"\nlistings = [\"paid\"]", 1) + free;
    insta::assert_snapshot!(mistakes(&named), @r#"
    product.toml:1:1: listing "free" has no component
      next: name it in the listings of a component
    "#);
}

#[test]
fn there_are_at_most_24_dimensions() {
    let many: String = (0..23).map(|n| format!("[[dimension]]\nkey = \"d{n}\"\nfrom = \"guest\"\n")).collect();
    insta::assert_snapshot!(mistakes(&(GOOD.to_owned() + &many)), @r"
    product.toml:94:1: this is dimension number 25; at most 24 are possible
      next: remove some
    ");
}

#[test]
fn names_are_unique() {
    insta::assert_snapshot!(changed("key = \"gigapixels\"", "key = \"images\""), @r#"
    product.toml:16:7: dimension "images" is given twice
      next: rename one of the two
    "#);
}

#[test]
fn an_instance_is_used_again_only_where_that_is_said_and_within_bounds() {
    let reuse = |text: &str| parse(&format!("{GOOD}\n{text}")).map(|manifest| manifest.components[0].reuse);
    assert_eq!(reuse(""), Ok(None));
    let (requests, seconds, memory_mib) = (128, 60, 64);
    assert_eq!(reuse("[component.reuse]"), Ok(Some(Reuse { requests, seconds, memory_mib })));
    insta::assert_snapshot!(reuse("[component.reuse]\nrequests = 1\nmemory = 5").unwrap_err(), @r#"
    product.toml:30:12: requests is 1, not a number from 2 to 1000000
      next: choose a number within the bounds
    product.toml:31:1: [reuse] has no key "memory"
      next: remove it, or use one of: requests, seconds, memory_mib
    "#);
}
