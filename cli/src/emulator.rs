//! `tollgate emulator`: the metering service on localhost, for any client.

use serde_json::json;
use tollgate_emulator::Options;

use crate::arguments::Emulator;
use crate::interrupt;
use crate::product::Product;
use crate::service::Service;
use crate::trouble::Result;
use crate::words;

/// Listens until ctrl-c or SIGTERM.
///
/// # Errors
/// A product cannot be read, or the address cannot be listened on.
pub async fn run(arguments: Emulator) -> Result<()> {
    let stop = interrupt::wish()?;
    let products = arguments.products.iter().map(|folder| Product::read(folder)).collect::<Result<Vec<_>>>()?;
    let service = Service::with(arguments.listen, Options::default()).await?;
    for product in &products {
        product.announce(&service.control).await?;
        for listing in &product.manifest.listings {
            service.control.subscribe(&listing.product_code, true).await?;
            words::good(&format!("{} is on sale and subscribed: {}", product.name(), listing.product_code));
        }
    }
    let origin = service.control.origin();
    if arguments.json {
        words::data(&json!({ "version": 1, "endpoint": origin }).to_string());
    }
    words::good(&format!("AWS Marketplace Metering Service at {origin}"));
    words::detail(&format!("aws meteringmarketplace meter-usage --endpoint-url {origin} ..."));
    words::detail(&format!(
        "control: {origin}/_tollgate/{{clock,subscriptions,products,keys,tasks,calls,truth,faults}}"
    ));
    stop.await;
    service.stop().await;
    words::say("stopped");
    Ok(())
}
