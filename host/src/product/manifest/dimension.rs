//! `[[dimension]]`: what is counted, by whom, and in which unit.

use tollgate_runtime::meter::{Measure, Source, TagSet};

use super::reader::Section;
use super::{Dimension, unique};
use crate::product::spelling;

/// AWS: tag keys over all allocations of a record.
const TAG_KEYS_MAX: usize = 5;
/// AWS: the largest quantity of a record.
const QUANTITY_MAX: u64 = 2_147_483_647;
/// AWS: characters of a dimension's key.
const KEY_CHARS_MAX: usize = 255;

/// A dimension and where its key stands.
pub(super) fn read(section: &Section<'_>) -> Option<(Dimension, usize)> {
    let key =
        section.required_text("key", "name the dimension's API identifier, as the catalogue shows it").filter(|key| {
            let fits = key.value.len() <= KEY_CHARS_MAX && key.value.bytes().all(|b| b.is_ascii_graphic());
            if !fits {
                let what = format!("key {:?} is not an API identifier; it may be the display name", key.value);
                section.mistake_at(key.at, what, "use the API identifier of the dimension, not its title");
            }
            fits
        });
    let from = source(section);
    let per = match section.has("per") {
        true => section.number("per", 1, i64::MAX.unsigned_abs()),
        false => Some(1),
    };
    let max_per_hour = match section.has("max_per_hour") {
        true => section.number("max_per_hour", 1, QUANTITY_MAX).and_then(|n| u32::try_from(n).ok()).map(Some),
        false => Some(None),
    };
    let tags = tag_keys(section, from);
    section.finish();
    let key = key?;
    let dimension = Dimension { key: key.value, from: from?, per: per?, max_per_hour: max_per_hour?, tags: tags? };
    Some((dimension, key.at))
}

fn source(section: &Section<'_>) -> Option<Source> {
    let from = section.required_text("from", "write from = \"guest\" or, for example, from = \"host:requests\"")?;
    if from.value == "guest" {
        return Some(Source::Guest);
    }
    let name = from.value.strip_prefix("host:");
    let measured = Measure::ALL.into_iter().find(|measure| Some(measure.name()) == name);
    if measured.is_none() {
        let known: Vec<String> = Measure::ALL.iter().map(|measure| format!("host:{}", measure.name())).collect();
        let hint = spelling::hint(&from.value, known.iter().map(String::as_str).chain(["guest"]));
        let next = format!("use one of: guest, {}", known.join(", "));
        section.mistake_at(from.at, format!("from {:?} is not known{hint}", from.value), next);
    }
    measured.map(Source::Host)
}

fn tag_keys(section: &Section<'_>, from: Option<Source>) -> Option<Vec<String>> {
    let keys = section.texts("tags");
    let mut good = true;
    let mut wrong = |at: usize, what: String, next: &str| {
        section.mistake_at(at, what, next);
        good = false;
    };
    if keys.len() > TAG_KEYS_MAX {
        let what = format!("tags has {} keys; AWS takes {TAG_KEYS_MAX}", keys.len());
        wrong(section.at_of("tags"), what, "remove some");
    }
    if !keys.is_empty() && matches!(from, Some(Source::Host(_))) {
        let what = "tags on a dimension that the host measures: nobody names the tags".to_owned();
        wrong(section.at_of("tags"), what, "remove tags, or let the guest count");
    }
    for key in &keys {
        if TagSet::new(vec![(key.value.clone(), "x".into())]).is_err() {
            let what =
                format!("tag key {:?} is empty, over 100 characters, or has some that AWS does not take", key.value);
            wrong(key.at, what, "use letters, digits, spaces and +-=._:/@");
        }
    }
    unique(section, keys.iter().map(|key| (key.value.as_str(), key.at)), "tag key");
    good.then(|| keys.into_iter().map(|key| key.value).collect())
}

pub(super) fn check_all(document: &Section<'_>, dimensions: &[Option<(Dimension, usize)>]) {
    unique(document, dimensions.iter().flatten().map(|(d, at)| (d.key.as_str(), *at)), "dimension");
}
