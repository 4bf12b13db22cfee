//! What the platform sets is taken in the forms in which the platform sets it; the one setting of our own, a proxy, is a
//! tunnel; and who can give the buyer's names to a server of their own still has no certificate that counts.

use std::collections::BTreeSet;
use std::process::Command;

use super::rows::Row;
use super::{On, Shop, alone, client, trap};
use crate::bundle::text;

const REGION: &str = "us-case-1";

fn names() -> Vec<String> {
    ["metering.marketplace", "sts"].iter().map(|service| format!("{service}.{REGION}.amazonaws.com")).collect()
}

/// On ECS, then on EKS: what is set in place of what the platform sets. Empty is as if it were not set.
const TASK: [(&str, &str); 17] = [
    ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/us-case-1"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2:80/v4/us-case-2/"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/us-gov-west-1"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/cn-north-1"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/us-case-1.trap.test"),
    ("ECS_CONTAINER_METADATA_URI_V4", ""),
    ("ECS_CONTAINER_METADATA_URI_V4", "https://169.254.170.2/v4/us-case-1"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2:3128/v4/us-case-1"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://127.6.0.1/v4/us-case-1"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2@127.6.0.1/v4/us-case-1"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2.1.trap.test/v4/us-case-1"),
    ("ECS_CONTAINER_METADATA_URI_V4", "http://2852039170/v4/us-case-1"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ""),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "//127.6.0.1/credentials"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "http://127.6.0.1/credentials"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@127.6.0.1/credentials"),
    ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/pod"),
];

const POD: [(&str, &str); 13] = [
    ("AWS_REGION", "us-case-1"),
    ("AWS_REGION", "us-gov-east-1"),
    ("AWS_REGION", "cn-northwest-1"),
    ("AWS_REGION", ""),
    ("AWS_REGION", "us-case-1.trap.test"),
    ("AWS_REGION", "us-case-1/"),
    ("AWS_REGION", "US-CASE-1"),
    ("AWS_DEFAULT_REGION", "us-case-2"),
    ("AWS_ROLE_ARN", ""),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", ""),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "http://127.6.0.1/token"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
];

#[test]
fn what_the_platform_sets_is_taken_in_its_own_forms_only() {
    alone("redirect::inputs::what_the_platform_sets_is_taken_in_its_own_forms_only", "", async || {
        let shop = Shop::open(names()).await;
        let mut told = Vec::new();
        let rows = TASK.map(|row| (On::Task, row)).into_iter().chain(POD.map(|row| (On::Pod, row)));
        for (number, (on, (name, value))) in rows.enumerate() {
            let before = shop.country.seen().len();
            let ended = shop.host(&format!("ledger-{number}"), on, REGION, &[(name, value.to_owned())]).await;
            let asked = shop.asked(before).join(", ");
            let code = ended.code.unwrap();
            told.push(
                format!("{on:?} {name}={value}: exit {code}, asked {asked}").trim_end_matches(", asked ").to_owned(),
            );
        }
        insta::assert_snapshot!(told.join("\n"));
    });
}

#[test]
fn a_proxy_is_a_tunnel_and_only_that_which_is_named_for_it() {
    alone("redirect::inputs::a_proxy_is_a_tunnel_and_only_that_which_is_named_for_it", "", async || {
        let shop = Shop::open(names()).await;
        for (on, name) in [(On::Task, &names()[0]), (On::Pod, &names()[1])] {
            for (trap, passes) in [(trap(2), true), (trap(3), false)] {
                let before = shop.country.seen().len();
                let set = [("TOLLGATE_HTTPS_PROXY", format!("http://{trap}:3128"))];
                let ended = shop.host(&format!("ledger-{on:?}-{passes}"), on, REGION, &set).await;
                assert_eq!(ended.code, Some(71), "{}", ended.stderr);
                let connect = format!("{trap}:3128: CONNECT {name}:443 HTTP/1.1");
                let after = if passes { name.clone() } else { format!("nothing of {trap}") };
                let seen = shop.asked(before);
                assert_eq!(seen.iter().collect::<BTreeSet<_>>(), [&connect, &after].into_iter().collect());
                assert_eq!(ended.stderr.contains("not signed by AWS's own authorities"), !passes, "{}", ended.stderr);
            }
        }
    });
}

#[test]
fn names_and_authorities_of_the_buyers_do_not_make_an_aws() {
    let hosts = format!("127.6.0.252 {}\n", names().join(" "));
    const TEST: &str = "redirect::inputs::names_and_authorities_of_the_buyers_do_not_make_an_aws";
    alone(TEST, &hosts, async || {
        let shop = Shop::open(names()).await;
        let mounted = Command::new("mount").args(["--bind", text(&shop.trust_store()), "/etc/ssl"]).status().unwrap();
        assert!(mounted.success(), "the buyer's authority is in the trust store of the machine");
        let set = [("SSL_CERT_FILE", shop.path("ca.pem").display().to_string())];
        for on in [On::Task, On::Pod] {
            let ended = shop.host(&format!("ledger-{on:?}"), on, REGION, &set).await;
            assert_eq!(ended.code, Some(71), "{}", ended.stderr);
            for words in ["invalid peer certificate: UnknownIssuer", "not signed by AWS's own authorities"] {
                assert!(ended.stderr.contains(words), "{}", ended.stderr);
            }
        }
        assert_eq!(shop.asked(0), ["nothing of 127.6.0.252"]);
        client::run(TEST, &Row::plain(), &[], Some(REGION.to_owned()), &shop.path("token")).await;
        assert_eq!(shop.asked(0), ["127.6.0.252:443: POST / HTTP/1.1", "nothing of 127.6.0.252"]);
    });
}
