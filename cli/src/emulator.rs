//! `tollgate emulator`: the metering service on localhost, for any client.

use std::path::Path;

use serde_json::json;
use tollgate_emulator::Options;

use crate::arguments::Emulator;
use crate::interrupt;
use crate::product::Product;
use crate::service::Service;
use crate::trouble::{Result, Trouble};
use crate::words;

/// Listens until ctrl-c or SIGTERM.
///
/// # Errors
/// A file or a product cannot be read, or the address cannot be listened on.
pub async fn run(arguments: Emulator) -> Result<()> {
    let stop = interrupt::wish()?;
    let products = arguments.products.iter().map(|folder| Product::read(folder)).collect::<Result<Vec<_>>>()?;
    let mut options = arguments.config.as_deref().map_or_else(|| Ok(Options::default()), read)?;
    options.state = arguments.state;
    options.host_names = arguments.host_names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let configured: Vec<String> = options.products.keys().cloned().collect();
    let mut service = Service::with(arguments.listen, options).await?;
    for product in &products {
        product.sell(&service.control).await?;
        for listing in &product.manifest.listings {
            words::good(&format!("{} is on sale and subscribed: {}", product.name(), listing.product_code));
        }
    }
    for code in configured {
        words::good(&format!("on sale: {code}"));
    }
    let origin = service.control.origin();
    if arguments.json {
        words::data(&json!({ "version": 1, "endpoint": origin }).to_string());
    }
    words::good(&format!("AWS Marketplace Metering Service at {origin}"));
    words::detail(&format!("aws meteringmarketplace meter-usage --endpoint-url {origin} ..."));
    words::detail(&format!("watch and steer it: {origin}/ in a browser, tollgate listen, tollgate trigger --help"));
    tokio::select! {
        () = stop => {}
        trouble = service.failed() => return Err(trouble),
    }
    service.stop().await;
    words::say("stopped");
    Ok(())
}

fn read(file: &Path) -> Result<Options> {
    let text = std::fs::read_to_string(file).map_err(|error| Trouble::file("read", file, &error))?;
    Options::read(&text).map_err(|mistakes| {
        Trouble::new(format!("{} cannot be used:\n{mistakes}", file.display()), "", "correct these lines")
    })
}
