//! Where the services are. A value, given by whoever composes the host; nothing in the environment changes it.

use std::net::{Ipv4Addr, SocketAddr};

use crate::place::Region;

/// The addresses the host talks to.
#[derive(Clone, Debug)]
pub struct Origins {
    /// None: by the table below.
    everything: Option<String>,
    container: SocketAddr,
    instance: Option<String>,
}

/// First part of the region name, host of the metering service before the region, DNS suffix. From the endpoint rules
/// of the service model (botocore 1.44.5, `meteringmarketplace/2016-01-14/endpoint-rule-set`); the last row is for the
/// commercial regions, which have many first parts.
const PARTITIONS: &[(&str, &str, &str)] = &[
    ("cn-", "metering.marketplace", "amazonaws.com.cn"),
    ("eusc-", "metering-marketplace", "amazonaws.eu"),
    ("", "metering.marketplace", "amazonaws.com"),
];

impl Origins {
    /// AWS itself.
    pub fn production() -> Self {
        Self {
            everything: None,
            container: SocketAddr::from((Ipv4Addr::new(169, 254, 170, 2), 80)),
            instance: Some("http://169.254.169.254".into()),
        }
    }

    /// A service under the composer's control. `metering` is a URL and stands for the metering service and STS,
    /// `container` stands for 169.254.170.2, where ECS answers for a task's metadata and credentials.
    pub fn lab(metering: impl Into<String>, container: SocketAddr) -> Self {
        Self { everything: Some(metering.into()), container, instance: None }
    }

    /// The same, and a URL that stands for http://169.254.169.254, where an instance tells of itself.
    pub fn with_instance(self, url: impl Into<String>) -> Self {
        Self { instance: Some(url.into()), ..self }
    }

    /// URL of the metering service.
    pub(crate) fn metering(&self, region: &Region) -> String {
        self.url(region, |host, suffix| format!("https://{host}.{region}.{suffix}"))
    }

    /// URL of the security token service.
    pub(crate) fn sts(&self, region: &Region) -> String {
        self.url(region, |_, suffix| format!("https://sts.{region}.{suffix}"))
    }

    /// Where ECS answers for metadata and credentials of this task.
    pub(crate) fn container(&self) -> SocketAddr {
        self.container
    }

    /// URL of the instance metadata service; a lab may have none.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    fn url(&self, region: &Region, by_table: impl Fn(&str, &str) -> String) -> String {
        if let Some(everything) = &self.everything {
            return everything.clone();
        }
        let row = PARTITIONS.iter().find(|(prefix, ..)| region.as_str().starts_with(prefix));
        let (_, host, suffix) = row.unwrap_or(&PARTITIONS[PARTITIONS.len() - 1]);
        by_table(host, suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_decides_the_endpoint() {
        let urls: Vec<String> = ["us-east-1", "eu-central-2", "us-gov-west-1", "cn-northwest-1", "eusc-de-east-1"]
            .iter()
            .flat_map(|name| {
                let region = Region::parse(name).unwrap();
                [Origins::production().metering(&region), Origins::production().sts(&region)]
            })
            .collect();
        insta::assert_snapshot!(urls.join("\n"), @r"
        https://metering.marketplace.us-east-1.amazonaws.com
        https://sts.us-east-1.amazonaws.com
        https://metering.marketplace.eu-central-2.amazonaws.com
        https://sts.eu-central-2.amazonaws.com
        https://metering.marketplace.us-gov-west-1.amazonaws.com
        https://sts.us-gov-west-1.amazonaws.com
        https://metering.marketplace.cn-northwest-1.amazonaws.com.cn
        https://sts.cn-northwest-1.amazonaws.com.cn
        https://metering-marketplace.eusc-de-east-1.amazonaws.eu
        https://sts.eusc-de-east-1.amazonaws.eu
        ");
    }

    #[test]
    fn a_lab_answers_for_every_region() {
        let origins = Origins::lab("http://127.0.0.1:1", SocketAddr::from((Ipv4Addr::LOCALHOST, 2)));
        let region = Region::parse("us-east-1").unwrap();
        assert_eq!(origins.metering(&region), "http://127.0.0.1:1");
        assert_eq!(origins.sts(&region), "http://127.0.0.1:1");
        assert_eq!(origins.instance(), None);
    }
}
