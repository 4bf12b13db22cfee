//! The manifest that tests and benchmarks begin with.

/// A product of guests that do what a test asks, under a custom listing.
pub(crate) const METER_HTTP: &str = r#"
[product]
name = "guest"
version = "1.0.0"

[[listing]]
id = "paid"
product_code = "code-of-the-test"
pricing = "custom"
entitlement_dimension = "start"

[[dimension]]
key = "start"
from = "guest"

[[dimension]]
key = "images"
from = "guest"
tags = ["team"]

[[dimension]]
key = "requests"
from = "host:requests"

[[component]]
id = "api"
source = "guest.wasm"
run = "http"
route = "/"
"#;
