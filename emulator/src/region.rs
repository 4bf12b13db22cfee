//! Where each operation is offered. Source: the service's page "Supported AWS Regions for the AWS Marketplace Metering
//! API", and for EKS the introduction of the service model; a region in no list answers `DisabledApiException`.

use std::collections::BTreeSet;

use crate::{account::Platform, operation::Operation};

/// The regions of each operation and platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    /// `BatchMeterUsage` and `ResolveCustomer`.
    pub saas: BTreeSet<String>,
    /// `MeterUsage` from Amazon EC2 and Bedrock AgentCore.
    pub instances: BTreeSet<String>,
    /// `MeterUsage` from Amazon ECS.
    pub ecs: BTreeSet<String>,
    /// `MeterUsage` from Amazon EKS.
    pub eks: BTreeSet<String>,
    /// `RegisterUsage` is offered where `MeterUsage` is for the same platform, without these. The page's own section
    /// could not be had; the guide of 2020 excludes them.
    pub without_register_usage: BTreeSet<String>,
}

impl Regions {
    /// What AWS lists.
    pub fn documented() -> Self {
        let set = |lists: &[&[&str]]| lists.iter().copied().flatten().map(|&region| region.to_owned()).collect();
        Self {
            saas: set(&[EKS, MORE, &["cn-northwest-1"]]),
            instances: set(&[EKS, MORE, &["us-gov-east-1", "us-gov-west-1"]]),
            ecs: set(&[EKS, MORE]),
            eks: set(&[EKS]),
            without_register_usage: set(&[&["ap-east-1", "me-south-1"]]),
        }
    }

    /// Whether `operation` is offered in `region` to callers on `platform`.
    pub(crate) fn offer(&self, operation: Operation, platform: Platform, region: &str) -> bool {
        let usage = match platform {
            Platform::Ecs => &self.ecs,
            Platform::EksIrsa | Platform::EksPodIdentity => &self.eks,
            Platform::AgentCore | Platform::Ec2 | Platform::NodeRole | Platform::Static => &self.instances,
        };
        match operation {
            Operation::BatchMeterUsage | Operation::ResolveCustomer => self.saas.contains(region),
            Operation::MeterUsage => usage.contains(region),
            Operation::RegisterUsage => usage.contains(region) && !self.without_register_usage.contains(region),
        }
    }
}

const EKS: &[&str] = &[
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

/// The commercial regions beyond those of EKS.
const MORE: &[&str] = &[
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
