//! Where AWS offers the two calls of a container, by call and platform.
//!
//! Sources: the page "Supported AWS Regions for the AWS Marketplace Metering API", and for EKS the introduction of the
//! service model (botocore 1.44.5, `meteringmarketplace/2016-01-14`). That page's section about `RegisterUsage` could not be
//! had; the guide of 2020 ("Integrating paid container software") excludes the regions of [`WITHOUT_REGISTER_USAGE`]. A list
//! in a binary grows old, so a region that is in none is asked all the same. GovCloud and China are not: AWS says that
//! containers are not metered there.

use super::{Call, Denied};
use crate::place::{Place, Region, Role};
use crate::product::manifest::Entitlement;

/// The day the lists were compared with their sources.
const AS_OF: &str = "2026-11-20";

/// Beginnings of regions in which AWS meters no containers.
const NEVER: [&str; 2] = ["us-gov-", "cn-"];

/// `MeterUsage` and, but for the exceptions below, `RegisterUsage`: on ECS and on EKS.
const ECS_AND_EKS: [&str; 17] = [
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// On ECS only.
const ECS: [&str; 11] = [
    "af-south-1",
    "ap-northeast-3",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
];

/// Of both lists.
const WITHOUT_REGISTER_USAGE: [&str; 2] = ["ap-east-1", "me-south-1"];

/// What the lists say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Listed,
    Unlisted,
    Never,
}

fn of(call: Call, role: &Role, region: &Region) -> Offer {
    let name = region.as_str();
    if NEVER.iter().any(|beginning| name.starts_with(beginning)) {
        return Offer::Never;
    }
    let metered = match role {
        Role::Task { .. } => ECS_AND_EKS.contains(&name) || ECS.contains(&name),
        Role::Pod { .. } => ECS_AND_EKS.contains(&name),
    };
    let excepted = call == Call::RegisterUsage && WITHOUT_REGISTER_USAGE.contains(&name);
    if metered && !excepted { Offer::Listed } else { Offer::Unlisted }
}

/// Looks the place up before AWS is asked there; warns if it is in no list. Who asks nobody runs everywhere.
///
/// # Errors
/// [`Denied::NotOffered`]: AWS meters no containers there.
pub(crate) fn check(entitlement: &Entitlement, place: &Place) -> Result<(), Denied> {
    let call = match entitlement {
        Entitlement::Register { .. } => Call::RegisterUsage,
        Entitlement::ZeroRecord { .. } | Entitlement::DryRun { .. } => Call::MeterUsage,
        Entitlement::None => return Ok(()),
    };
    match of(call, &place.role, &place.region) {
        Offer::Listed => Ok(()),
        Offer::Never => Err(Denied::NotOffered { region: place.region.to_string() }),
        Offer::Unlisted => {
            let platform = match place.role {
                Role::Task { .. } => "ECS",
                Role::Pod { .. } => "EKS",
            };
            tracing::warn!(
                region = %place.region, platform, call = call.name(), as_of = AS_OF,
                "AWS did not list this region for this call; it is asked all the same"
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(region: &str) -> String {
        let region = Region::parse(region).unwrap();
        let task = Role::Task { credentials_path: "/".into() };
        let pod = Role::Pod { role_arn: String::new(), token_file: "/".into() };
        let of = |call, role| match of(call, role, &region) {
            Offer::Listed => "yes  ",
            Offer::Unlisted => "warn ",
            Offer::Never => "never",
        };
        let (register, meter) = (Call::RegisterUsage, Call::MeterUsage);
        let offers = [of(register, &task), of(register, &pod), of(meter, &task), of(meter, &pod)];
        format!("{} {region}", offers.join(" "))
    }

    /// Columns: `RegisterUsage` on ECS and EKS, `MeterUsage` on ECS and EKS.
    #[test]
    fn each_call_has_its_regions_on_each_platform_as_of_2026_11_20() {
        assert_eq!(AS_OF, "2026-11-20", "the name of this test tells the day");
        let others = [
            "ap-east-2",
            "ap-southeast-5",
            "ap-southeast-7",
            "ca-west-1",
            "mx-central-1",
            "eusc-de-east-1",
            "xx-nowhere-1",
            "cn-north-1",
            "cn-northwest-1",
            "us-gov-east-1",
            "us-gov-west-1",
        ];
        let rows: Vec<String> = ECS_AND_EKS.iter().chain(&ECS).chain(&others).map(|region| row(region)).collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        warn  warn  yes   yes   ap-east-1
        yes   yes   yes   yes   ap-northeast-1
        yes   yes   yes   yes   ap-northeast-2
        yes   yes   yes   yes   ap-south-1
        yes   yes   yes   yes   ap-southeast-1
        yes   yes   yes   yes   ap-southeast-2
        yes   yes   yes   yes   ca-central-1
        yes   yes   yes   yes   eu-central-1
        yes   yes   yes   yes   eu-north-1
        yes   yes   yes   yes   eu-west-1
        yes   yes   yes   yes   eu-west-2
        yes   yes   yes   yes   eu-west-3
        yes   yes   yes   yes   sa-east-1
        yes   yes   yes   yes   us-east-1
        yes   yes   yes   yes   us-east-2
        yes   yes   yes   yes   us-west-1
        yes   yes   yes   yes   us-west-2
        yes   warn  yes   warn  af-south-1
        yes   warn  yes   warn  ap-northeast-3
        yes   warn  yes   warn  ap-south-2
        yes   warn  yes   warn  ap-southeast-3
        yes   warn  yes   warn  ap-southeast-4
        yes   warn  yes   warn  eu-central-2
        yes   warn  yes   warn  eu-south-1
        yes   warn  yes   warn  eu-south-2
        yes   warn  yes   warn  il-central-1
        yes   warn  yes   warn  me-central-1
        warn  warn  yes   warn  me-south-1
        warn  warn  warn  warn  ap-east-2
        warn  warn  warn  warn  ap-southeast-5
        warn  warn  warn  warn  ap-southeast-7
        warn  warn  warn  warn  ca-west-1
        warn  warn  warn  warn  mx-central-1
        warn  warn  warn  warn  eusc-de-east-1
        warn  warn  warn  warn  xx-nowhere-1
        never never never never cn-north-1
        never never never never cn-northwest-1
        never never never never us-gov-east-1
        never never never never us-gov-west-1
        ");
    }
}
