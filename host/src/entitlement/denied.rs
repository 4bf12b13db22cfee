//! Why the product may not run, and the operator's words for it: what failed, the likely cause, the next step.

use std::time::Duration;

use super::NotGenuine;
use crate::exit::{Exit, Why};
use crate::marketplace::codes::{self, Kind};

/// The call that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `RegisterUsage`.
    RegisterUsage,
    /// `MeterUsage`.
    MeterUsage,
}

impl Call {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RegisterUsage => "RegisterUsage",
            Self::MeterUsage => "MeterUsage",
        }
    }

    /// The managed policy that allows it. Despite their names neither allows the other call.
    fn policy(self) -> &'static str {
        match self {
            Self::RegisterUsage => "AWSMarketplaceMeteringRegisterUsage",
            Self::MeterUsage => "AWSMarketplaceMeteringFullAccess",
        }
    }
}

/// Why there is no [`Grant`](super::Grant), sorted by how the process ends. `code` is AWS's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The account has no subscription.
    #[error("AWS says that this account is not entitled to the product: {code}")]
    NotEntitled {
        /// AWS's error code.
        code: String,
    },
    /// The call did not come from an ECS task or an EKS pod with IRSA.
    #[error("AWS does not accept calls from this platform: {code}")]
    Platform {
        /// AWS's error code.
        code: String,
    },
    /// The call went to a region other than that of the task or pod, or one without the service.
    #[error("AWS does not accept calls from this region: {code}")]
    Region {
        /// AWS's error code.
        code: String,
    },
    /// AWS meters no containers in this part of the world; it was not asked.
    #[error("AWS Marketplace does not meter containers in {region}")]
    NotOffered {
        /// The region of the task or pod.
        region: String,
    },
    /// AWS does not know what the manifest names, or said something we do not know.
    #[error("AWS refused the listing: {} said {code}", call.name())]
    Listing {
        /// AWS's error code.
        code: String,
        /// The call.
        call: Call,
    },
    /// Permission, credentials or signature.
    #[error("AWS refused the role of this task or pod: {} said {code}", call.name())]
    Refused {
        /// AWS's error code.
        code: String,
        /// The call.
        call: Call,
    },
    /// The reply is not signed by AWS for this product and this question.
    #[error("the reply of RegisterUsage is not genuine: {0}")]
    NotGenuine(NotGenuine),
    /// The start budget is spent.
    #[error("AWS gave no answer in {attempts} attempts within {} s; the last: {code}", budget.as_secs())]
    NoAnswer {
        /// What the last attempt ended with.
        code: String,
        /// How many there were.
        attempts: u32,
        /// How long they took at most.
        budget: Duration,
    },
}

impl Denied {
    /// The operator's words.
    pub fn exit(&self) -> Exit {
        let (why, cause, next) = match self {
            Self::NotEntitled { .. } => (
                Why::NotEntitled,
                "the AWS account of this task or pod has no active subscription to the product, or to another of its \
                 listings"
                    .to_owned(),
                "subscribe in AWS Marketplace with this very account; if you are subscribed, choose the listing you \
                 subscribed to with TOLLGATE_LISTING. Then start a new task or pod"
                    .to_owned(),
            ),
            Self::Platform { .. } => (
                Why::Platform,
                "the credentials are not those of an ECS task role or an EKS service account (IRSA); EKS Pod Identity, \
                 node roles and access keys are not supported by AWS Marketplace"
                    .to_owned(),
                "ECS: give the task definition a taskRoleArn. EKS: annotate the service account with \
                 eks.amazonaws.com/role-arn"
                    .to_owned(),
            ),
            Self::Region { .. } => (
                Why::Platform,
                "AWS_REGION names another region than the one the task or pod runs in, or AWS Marketplace does not \
                 offer metered containers in this region"
                    .to_owned(),
                "do not set AWS_REGION or AWS_DEFAULT_REGION in the task definition, the pod or the image; if nothing \
                 sets it, run in another region"
                    .to_owned(),
            ),
            Self::NotOffered { .. } => (
                Why::Platform,
                "metered container products are not offered in AWS GovCloud (US) and in China".to_owned(),
                "run the image in a commercial region".to_owned(),
            ),
            Self::Listing { code, call } => (Why::Listing, listing_cause(code), listing_next(code, *call)),
            Self::Refused { code, call } => {
                let (cause, next) = refused(code, *call);
                (Why::Listing, cause, next)
            }
            Self::NotGenuine(why) => (Why::Listing, not_genuine_cause(why).to_owned(), not_genuine_next(why).to_owned()),
            Self::NoAnswer { code, .. } => {
                let (cause, next) = no_answer(code);
                (Why::NoAnswer, cause.to_owned(), next.to_owned())
            }
        };
        Exit::new(why, self.to_string(), cause, next)
    }
}

fn no_answer(code: &str) -> (&'static str, &'static str) {
    // The words of rustls, which judges the other side.
    if code.contains("invalid peer certificate") {
        return (
            "whoever answers in AWS's place has a certificate that is not signed by AWS's own authorities: a proxy that \
             opens TLS, or a name that leads elsewhere. No other authority is trusted, also none of this image",
            "exempt metering.marketplace.<region>.amazonaws.com (and sts on EKS) from TLS inspection, and check what the \
             hosts file and DNS say about it",
        );
    }
    (
        "AWS is throttling this account, has an outage, or cannot be reached from here: TLS is verified with AWS's own \
         roots only, and no proxy is used but that of TOLLGATE_HTTPS_PROXY",
        "check that the task or pod can reach https://metering.marketplace.<region>.amazonaws.com (and sts on EKS) \
         directly, through a VPC endpoint, or through a proxy named in TOLLGATE_HTTPS_PROXY; for large fleets raise \
         TOLLGATE_START_BUDGET",
    )
}

fn listing_cause(code: &str) -> String {
    match code {
        "InvalidProductCodeException" => "AWS does not know the product code of the listing",
        "InvalidPublicKeyVersionException" => "AWS does not know the public key version the manifest asks for",
        "InvalidUsageDimensionException" => {
            "the product has no dimension with this API key; manifests often carry the display name instead"
        }
        "TimestampOutOfBoundsException" => "the clock of this machine is off by hours",
        "IdempotencyConflictException" => "this record was sent before with other contents",
        _ => "this host does not know this answer",
    }
    .to_owned()
}

fn listing_next(code: &str, call: Call) -> String {
    match code {
        "InvalidProductCodeException" | "InvalidPublicKeyVersionException" | "InvalidUsageDimensionException" => {
            "nothing the buyer can do: the vendor must correct product.toml (compare it with the product's page in the \
             AWS Marketplace Management Portal) and publish a new image"
                .to_owned()
        }
        "TimestampOutOfBoundsException" => "set the clock of the machine (chrony, Amazon Time Sync)".to_owned(),
        _ => format!("send this message to the vendor, with the {} event from CloudTrail", call.name()),
    }
}

fn refused(code: &str, call: Call) -> (String, String) {
    let action = call.name();
    match code {
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch" => (
            "the clock of this machine is off by minutes, or something between here and AWS changed the request".into(),
            "set the clock of the machine (chrony, Amazon Time Sync), then start again".into(),
        ),
        "OptInRequired" | "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" => (
            "AWS does not know these credentials in this region; the region may not be enabled for the account".into(),
            "enable the region for the account, or run in another one".into(),
        ),
        _ if codes::sort(code) == Kind::Denied => (
            format!(
                "the role of the task or pod has no permission for aws-marketplace:{action}, or its trust policy does not let this workload take it"
            ),
            format!(
                "attach the managed policy {}, or allow aws-marketplace:{action} on resource \"*\", to the task role \
                 (not the execution role) or the IRSA role (not the node role)",
                call.policy()
            ),
        ),
        _ => (
            "STS did not accept the service account's token for the role".into(),
            "check the trust policy of the IRSA role: OIDC provider of this cluster, namespace and service account"
                .into(),
        ),
    }
}

fn not_genuine_cause(why: &NotGenuine) -> &'static str {
    match why {
        NotGenuine::Key => "the manifest's public key is damaged or shorter than 2048 bits",
        NotGenuine::Signature => {
            "the manifest has another key than AWS signs with for this product and version, or somebody answers in AWS's \
             place"
        }
        NotGenuine::Time(_) => "the clock of this machine is off by more than an hour, or the token is an old one",
        _ => "somebody answers in AWS's place, or AWS changed the form of its replies",
    }
}

fn not_genuine_next(why: &NotGenuine) -> &'static str {
    match why {
        NotGenuine::Time(_) => "set the clock of the machine (chrony, Amazon Time Sync), then start again",
        NotGenuine::Key | NotGenuine::Signature => {
            "the vendor compares public_keys in product.toml with the product's page in the AWS Marketplace Management \
             Portal; the buyer checks what DNS says about metering.marketplace.<region>.amazonaws.com"
        }
        _ => {
            "check what DNS says about metering.marketplace.<region>.amazonaws.com, and send this message to the vendor"
        }
    }
}
