use super::*;

fn check(clues: &Clues, expected: impl FnOnce(String)) {
    let error = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(find(clues, &Origins::lab("http://127.0.0.1:1", ([127, 0, 0, 1], 1).into()), &Clock::system()))
        .unwrap_err();
    let exit = error.exit();
    assert_eq!(exit.why, Why::Place);
    expected(exit.message());
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_laptop_is_told_what_was_looked_for() {
    check(&Clues::default(), |text| {
        insta::assert_snapshot!(text, @r"
    tollgate-host: unknown place (exit 69)
      what : no usable AWS credentials. Looked for:
             ECS task role:    ECS_CONTAINER_METADATA_URI_V4 not set
             EKS IRSA:         AWS_ROLE_ARN not set
                               AWS_WEB_IDENTITY_TOKEN_FILE not set
             EKS Pod Identity: AWS_CONTAINER_CREDENTIALS_FULL_URI not set
             static keys:      AWS_ACCESS_KEY_ID not set
      cause: this is neither an ECS task nor an EKS pod with IRSA; AWS Marketplace sells metered containers only there
      next : run the image on ECS, EKS or Fargate. To try the product on a laptop, ask its vendor for a development build
    ")
    });
}

#[test]
fn access_keys_are_refused() {
    check(&Clues { static_keys: true, ..Clues::default() }, |text| {
        insta::assert_snapshot!(text, @r"
    tollgate-host: unknown place (exit 69)
      what : no usable AWS credentials. Looked for:
             ECS task role:    ECS_CONTAINER_METADATA_URI_V4 not set
             EKS IRSA:         AWS_ROLE_ARN not set
                               AWS_WEB_IDENTITY_TOKEN_FILE not set
             EKS Pod Identity: AWS_CONTAINER_CREDENTIALS_FULL_URI not set
             static keys:      AWS_ACCESS_KEY_ID set
      cause: AWS Marketplace does not accept access keys; the call must come from an ECS task role or an EKS pod with IRSA
      next : run the image as an ECS task with a task role, or as an EKS pod with IRSA
    ")
    });
}

#[test]
fn pod_identity_is_refused_with_the_way_to_irsa() {
    let clues =
        Clues { pod_identity: some("http://169.254.170.23/v1/credentials"), kubernetes: true, ..Clues::default() };
    check(&clues, |text| {
        insta::assert_snapshot!(text, @r"
    tollgate-host: unknown place (exit 69)
      what : no usable AWS credentials. Looked for:
             ECS task role:    ECS_CONTAINER_METADATA_URI_V4 not set
             EKS IRSA:         AWS_ROLE_ARN not set
                               AWS_WEB_IDENTITY_TOKEN_FILE not set
             EKS Pod Identity: AWS_CONTAINER_CREDENTIALS_FULL_URI set
             static keys:      AWS_ACCESS_KEY_ID not set
      cause: AWS Marketplace does not accept EKS Pod Identity; it accepts only IRSA (IAM roles for service accounts)
      next : EKS: annotate the pod's service account with eks.amazonaws.com/role-arn (IRSA), give that role aws-marketplace:RegisterUsage or aws-marketplace:MeterUsage, and restart the pod
    ")
    });
}

#[test]
fn a_pod_on_its_nodes_role_is_refused() {
    check(&Clues { kubernetes: true, ..Clues::default() }, |text| {
        insta::assert_snapshot!(text, @r"
    tollgate-host: unknown place (exit 69)
      what : no usable AWS credentials. Looked for:
             ECS task role:    ECS_CONTAINER_METADATA_URI_V4 not set
             EKS IRSA:         AWS_ROLE_ARN not set
                               AWS_WEB_IDENTITY_TOKEN_FILE not set
             EKS Pod Identity: AWS_CONTAINER_CREDENTIALS_FULL_URI not set
             static keys:      AWS_ACCESS_KEY_ID not set
      cause: this pod has no role of its own; the role of its node is not accepted by AWS Marketplace
      next : EKS: annotate the pod's service account with eks.amazonaws.com/role-arn (IRSA), give that role aws-marketplace:RegisterUsage or aws-marketplace:MeterUsage, and restart the pod
    ")
    });
}

#[test]
fn half_of_irsa_is_named() {
    check(&Clues { role_arn: some("arn:aws:iam::1:role/r"), ..Clues::default() }, |text| {
        insta::assert_snapshot!(text, @r"
    tollgate-host: unknown place (exit 69)
      what : no usable AWS credentials. Looked for:
             ECS task role:    ECS_CONTAINER_METADATA_URI_V4 not set
             EKS IRSA:         AWS_ROLE_ARN set
                               AWS_WEB_IDENTITY_TOKEN_FILE not set
             EKS Pod Identity: AWS_CONTAINER_CREDENTIALS_FULL_URI not set
             static keys:      AWS_ACCESS_KEY_ID not set
      cause: only one of the two variables of IRSA is set; EKS always sets both
      next : EKS: annotate the pod's service account with eks.amazonaws.com/role-arn (IRSA), give that role aws-marketplace:RegisterUsage or aws-marketplace:MeterUsage, and restart the pod
    ")
    });
}

#[test]
fn a_task_without_a_role_is_refused() {
    let clues = Clues { task_metadata: some("http://169.254.170.2/v4/1"), ..Clues::default() };
    check(&clues, |text| {
        insta::assert_snapshot!(text, @r"
    tollgate-host: unknown place (exit 69)
      what : no task role: ECS_CONTAINER_METADATA_URI_V4 is set, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not
      cause: the task definition names no taskRoleArn; the execution role and the role of the instance do not count
      next : give the task definition a taskRoleArn whose policy allows aws-marketplace:RegisterUsage or aws-marketplace:MeterUsage, and start the task again
    ")
    });
}

#[test]
fn metadata_elsewhere_is_not_asked() {
    for uri in [
        "http://169.254.170.2.evil.example/v4/1",
        "http://169.254.170.2@evil.example/v4/1",
        "http://169.254.170.2:8080/v4/1",
        "https://169.254.170.2/v4/1",
        "http://169.254.170.2//evil/v4",
        "http://169.254.170.2/v4/1#x",
        "http://169.254.170.2/v4/1 HTTP/1.1",
    ] {
        assert_eq!(metadata_path(uri, &Origins::production()), None, "{uri}");
    }
    assert_eq!(metadata_path("http://169.254.170.2/v4/1-2", &Origins::production()), some("/v4/1-2"));
    let clues =
        Clues { task_metadata: some("http://evil.example/v4/1"), task_credentials: some("/v2/c"), ..Clues::default() };
    check(&clues, |text| {
        insta::assert_snapshot!(text, @r#"
    tollgate-host: unknown place (exit 69)
      what : ECS_CONTAINER_METADATA_URI_V4 is "http://evil.example/v4/1"; only http://127.0.0.1:1/... is used
      cause: the variable was set by something other than ECS
      next : remove ECS_CONTAINER_METADATA_URI_V4 from the task definition and the image; ECS sets it
    "#)
    });
}

#[test]
fn a_lab_has_its_own_address_and_no_other() {
    let lab = Origins::lab("http://127.0.0.1:9", ([127, 0, 0, 1], 9).into());
    assert_eq!(metadata_path("http://127.0.0.1:9/v4/t", &lab), some("/v4/t"));
    assert_eq!(metadata_path("http://169.254.170.2/v4/t", &lab), None);
}

#[test]
fn region_and_identity_come_from_the_task_arn() {
    let (identity, region, older) = from_task_metadata(
        r#"{"Cluster":"default","TaskARN":"arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c"}"#,
    )
    .unwrap();
    assert_eq!(identity, "arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c");
    assert_eq!((region.as_str(), older), ("us-west-2", false));
    for arn in [
        "",
        "arn:aws:ecs:us-west-2.evil:1:task/x",
        "arn:aws:ec2:us-west-2:1:instance/i",
        "arn:aws:ecs:us-west-2:1:cluster/x",
    ] {
        assert!(from_task_metadata(&format!(r#"{{"TaskARN":{arn:?}}}"#)).is_err(), "{arn}");
    }
    assert!(from_task_metadata("{}").is_err());
}

#[test]
fn identity_of_a_pod_is_its_uid() {
    use base64::Engine;
    let token = |claims: &str| format!("e30.{}.sig", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims));
    let uid = "3c4f2a70-9d1c-4a39-9e1a-0b2f6d1f7a11";
    let claims = format!(r#"{{"kubernetes.io":{{"namespace":"n","pod":{{"name":"p","uid":"{uid}"}}}}}}"#);
    assert_eq!(pod::Token::read(&token(&claims)).unwrap().pod_uid, uid);
    for claims in ["{}", r#"{"kubernetes.io":{}}"#, r#"{"kubernetes.io":{"pod":{"uid":"../../etc"}}}"#] {
        assert!(pod::Token::read(&token(claims)).is_err(), "{claims}");
    }
    assert!(pod::Token::read("no token").is_err());
}

/// A pod whose token is readable; `region` and `default_region` as given.
fn pod_with(
    region: Option<&str>,
    default_region: Option<&str>,
    made_s: Option<u64>,
) -> (tempfile::NamedTempFile, Clues) {
    use base64::Engine;
    let pod = r#""kubernetes.io":{"pod":{"uid":"3c4f2a70-9d1c-4a39-9e1a-0b2f6d1f7a11"}}"#;
    let claims = made_s.map_or_else(|| format!("{{{pod}}}"), |made_s| format!(r#"{{"iat":{made_s},{pod}}}"#));
    let file = tempfile::NamedTempFile::new().unwrap();
    let token = format!("e30.{}.sig\n", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims));
    std::fs::write(file.path(), token).unwrap();
    let clues = Clues {
        role_arn: some("arn:aws:iam::1:role/r"),
        token_file: Some(file.path().display().to_string()),
        region: region.map(str::to_owned),
        default_region: default_region.map(str::to_owned),
        ..Clues::default()
    };
    (file, clues)
}

#[tokio::test]
async fn a_pod_takes_its_region_from_the_first_variable_that_is_set() {
    let origins = Origins::lab("http://127.0.0.1:1", ([127, 0, 0, 1], 1).into());
    for (region, default_region, expected) in
        [(Some("eu-west-1"), Some("us-east-1"), "eu-west-1"), (None, Some("us-east-1"), "us-east-1")]
    {
        let (_file, clues) = pod_with(region, default_region, None);
        assert_eq!(find(&clues, &origins, &Clock::system()).await.unwrap().region.as_str(), expected);
    }
}

#[test]
fn a_missing_region_is_told_with_all_places() {
    let (_file, clues) = pod_with(None, None, None);
    check(&clues, |text| {
        insta::assert_snapshot!(text, @r"
    tollgate-host: unknown place (exit 69)
      what : the AWS region is not known. Looked for:
             AWS_REGION: not set
             AWS_DEFAULT_REGION: not set
             instance metadata (IMDSv2): not available here
      cause: the platform did not tell the container its region
      next : EKS: set AWS_REGION in the container's env to the region of the cluster. ECS sets the region by itself: do not override its variables
    ")
    });
}

#[test]
fn a_region_that_is_none_is_refused() {
    let (_file, clues) = pod_with(Some("us-east-1.evil.example"), None, None);
    check(&clues, |text| {
        insta::assert_snapshot!(text, @r#"
    tollgate-host: unknown place (exit 69)
      what : the AWS region is not known. Looked for:
             AWS_REGION: "us-east-1.evil.example" is not the name of an AWS region such as "eu-central-1"
      cause: the platform did not tell the container its region
      next : EKS: set AWS_REGION in the container's env to the region of the cluster. ECS sets the region by itself: do not override its variables
    "#)
    });
}

#[test]
fn a_restarted_container_is_younger_than_its_identity() {
    let metadata =
        |containers: &str| format!(r#"{{"TaskARN":"arn:aws:ecs:us-west-2:1:task/t","Containers":[{containers}]}}"#);
    let older = |containers: &str| from_task_metadata(&metadata(containers)).unwrap().2;
    assert!(!older(r#"{"Name":"a"},{"Name":"b","RestartCount":0}"#));
    assert!(older(r#"{"Name":"a"},{"Name":"b","RestartCount":2}"#));
}

#[tokio::test]
async fn a_pod_is_older_than_the_process_if_its_token_is() {
    let origins = Origins::lab("http://127.0.0.1:1", ([127, 0, 0, 1], 1).into());
    let now_s = Clock::system().now_ms() / 1000;
    for (made_s, older) in [(Some(now_s), false), (Some(now_s - 3600), true), (None, true)] {
        let (_file, clues) = pod_with(Some("us-east-1"), None, made_s);
        assert_eq!(find(&clues, &origins, &Clock::system()).await.unwrap().older, older, "{made_s:?}");
    }
}
