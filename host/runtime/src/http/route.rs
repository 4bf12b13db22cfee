//! Which component answers a path.

use crate::component::{Component, Run};
use crate::http::RouteError;

/// Components by route, the longest first.
#[derive(Debug)]
pub(super) struct Routes {
    components: Vec<Component>,
}

impl Routes {
    pub(super) fn new(mut components: Vec<Component>) -> Result<Self, RouteError> {
        for component in &components {
            let (id, route) = (component.spec().id.clone(), component.spec().route.clone());
            if component.run() != Run::Http {
                return Err(RouteError::NotHttp { component: id });
            }
            if !route.starts_with('/') {
                return Err(RouteError::NoSlash { component: id, route });
            }
        }
        components.sort_by(|a, b| {
            let (a, b) = (&a.spec().route, &b.spec().route);
            b.len().cmp(&a.len()).then_with(|| a.cmp(b))
        });
        for two in components.windows(2) {
            if prefix(&two[0].spec().route) == prefix(&two[1].spec().route) {
                return Err(RouteError::Twice {
                    first: two[0].spec().id.clone(),
                    second: two[1].spec().id.clone(),
                    route: two[0].spec().route.clone(),
                });
            }
        }
        Ok(Self { components })
    }

    /// The number here of the component with the longest route that is a prefix of the path, segment by segment.
    pub(super) fn choose(&self, path: &str) -> Option<usize> {
        self.components.iter().position(|component| covers(&component.spec().route, path))
    }

    /// One that was chosen.
    pub(super) fn component(&self, number: usize) -> &Component {
        &self.components[number]
    }
}

fn prefix(route: &str) -> &str {
    route.strip_suffix('/').unwrap_or(route)
}

fn covers(route: &str, path: &str) -> bool {
    path.strip_prefix(prefix(route)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_covers_whole_segments() {
        let table = [
            ("/", "/", true),
            ("/", "/any/path", true),
            ("/api", "/api", true),
            ("/api", "/api/", true),
            ("/api", "/api/v1", true),
            ("/api/", "/api", true),
            ("/api/", "/api/v1", true),
            ("/api", "/apis", false),
            ("/api", "/", false),
            ("/api", "/API", false),
            ("/", "*", false),
        ];
        for (route, path, expected) in table {
            assert_eq!(covers(route, path), expected, "{route} {path}");
        }
    }
}
