//! What to tell an operator whose place has no usable credentials: what was looked for, why it fails, what to do.

use std::path::Path;

use super::{Clues, NoPlace};

const IRSA: &str = "EKS: annotate the pod's service account with eks.amazonaws.com/role-arn (IRSA), give that role \
                    aws-marketplace:RegisterUsage or aws-marketplace:MeterUsage, and restart the pod";

/// Neither a task role nor IRSA.
pub(super) fn no_credentials(clues: &Clues) -> NoPlace {
    let state = |set: bool| if set { "set" } else { "not set" };
    let looked_for = [
        ("ECS task role:    ECS_CONTAINER_METADATA_URI_V4", clues.task_metadata.is_some()),
        ("EKS IRSA:         AWS_ROLE_ARN", clues.role_arn.is_some()),
        ("                  AWS_WEB_IDENTITY_TOKEN_FILE", clues.token_file.is_some()),
        ("EKS Pod Identity: AWS_CONTAINER_CREDENTIALS_FULL_URI", clues.pod_identity.is_some()),
        ("static keys:      AWS_ACCESS_KEY_ID", clues.static_keys),
    ];
    let looked_for: Vec<String> = looked_for.iter().map(|(name, set)| format!("{name} {}", state(*set))).collect();
    let (cause, next) = if clues.role_arn.is_some() != clues.token_file.is_some() {
        ("only one of the two variables of IRSA is set; EKS always sets both", IRSA)
    } else if clues.pod_identity.is_some() {
        (
            "AWS Marketplace does not accept EKS Pod Identity; it accepts only IRSA (IAM roles for service accounts)",
            IRSA,
        )
    } else if clues.kubernetes {
        ("this pod has no role of its own; the role of its node is not accepted by AWS Marketplace", IRSA)
    } else if clues.static_keys {
        (
            "AWS Marketplace does not accept access keys; the call must come from an ECS task role or an EKS pod with IRSA",
            "run the image as an ECS task with a task role, or as an EKS pod with IRSA",
        )
    } else {
        (
            "this is neither an ECS task nor an EKS pod with IRSA; AWS Marketplace sells metered containers only there",
            "run the image on ECS, EKS or Fargate. To try the product on a laptop, ask its vendor for a development build",
        )
    };
    NoPlace::NoCredentials {
        looked_for: format!("no usable AWS credentials. Looked for:\n{}", looked_for.join("\n")),
        cause,
        next,
    }
}

/// An ECS task without a role of its own.
pub(super) fn no_task_role() -> NoPlace {
    NoPlace::NoCredentials {
        looked_for: "no task role: ECS_CONTAINER_METADATA_URI_V4 is set, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not"
            .into(),
        cause: "the task definition names no taskRoleArn; the execution role and the role of the instance do not count",
        next: "give the task definition a taskRoleArn whose policy allows aws-marketplace:RegisterUsage or \
               aws-marketplace:MeterUsage, and start the task again",
    }
}

/// A metadata URI that leads elsewhere.
pub(super) fn bad_metadata_uri(uri: &str, expected: &str) -> NoPlace {
    NoPlace::NoCredentials {
        looked_for: format!("ECS_CONTAINER_METADATA_URI_V4 is {uri:?}; only http://{expected}/... is used"),
        cause: "the variable was set by something other than ECS",
        next: "remove ECS_CONTAINER_METADATA_URI_V4 from the task definition and the image; ECS sets it",
    }
}

/// A credentials path that is not a path.
pub(super) fn bad_credentials_path(path: &str) -> NoPlace {
    NoPlace::NoCredentials {
        looked_for: format!(
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is {path:?}, not a path such as \"/v2/credentials/...\""
        ),
        cause: "the variable was set by something other than ECS",
        next: "remove AWS_CONTAINER_CREDENTIALS_RELATIVE_URI from the task definition and the image; ECS sets it",
    }
}

/// The token of the service account cannot be used.
pub(super) fn bad_token(file: &Path, error: &anyhow::Error) -> NoPlace {
    NoPlace::NoCredentials {
        looked_for: format!("the pod's UID in the token of AWS_WEB_IDENTITY_TOKEN_FILE, {}: {error:#}", file.display()),
        cause: "the file is missing, not readable for this user (fsGroup), or not a projected service account token",
        next: IRSA,
    }
}
