//! The web page as its user meets it: by pointer, by keyboard, in light and dark, with many calls.

use serde_json::json;

use crate::{
    browser::Browser,
    world::{World, http_request, images, send},
};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";
const DOWN: &str = "\u{e015}";

async fn sold() -> World {
    let world = World::new().await;
    let body = json!({ "pricing": "custom", "dimensions": ["images", "gigapixels"], "prices": { "images": "0.0025" } });
    world.ask("PUT", "/_tollgate/products/thumbnails", &body.to_string()).await;
    let client = world.client(&world.task().await);
    for (quantity, hours) in [(12, 0), (30, 1), (7, 2), (44, 3), (21, 5)] {
        send(images(&client, quantity, -3_600 * hours)).await;
        send(images(&client, quantity * 9 / 4, -3_600 * hours).usage_dimension("gigapixels")).await;
    }
    send(images(&client, 13, 0)).await;
    send(images(&client, 13, 0).usage_dimension("videos")).await;
    let editor = world.client(&world.task().await);
    editor.register_usage().product_code("editor").public_key_version(1).send().await.unwrap();
    world
}

async fn opened(world: &World, dark: bool) -> Browser {
    let browser = Browser::start(dark).await;
    browser.open(&world.url("/")).await;
    browser.until("document.querySelector('#connection').dataset.state === 'good'").await;
    browser.until("document.querySelectorAll('#subscriptions-list li').length === 3").await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_happens_and_changes_it() {
    let world = sold().await;
    let browser = opened(&world, false).await;
    browser.until("document.querySelectorAll('#calls-space .row:not([hidden])').length === 13").await;
    let newest =
        "[...document.querySelectorAll('#calls-space .row')].find((row) => row.ariaRowIndex === '1').innerText";
    let row = browser.run(&format!("return {newest}")).await;
    assert!(row.as_str().unwrap().contains("RegisterUsage") && row.as_str().unwrap().contains("registered"), "{row}");
    let total = browser.run("return document.querySelector('#bill-tables tfoot td').innerText").await;
    assert_eq!(total, world.get("/_tollgate/invoices").await["invoices"][0]["total"]);
    let figures = browser.run("return document.querySelectorAll('#usage-chart figure').length").await;
    assert_eq!(figures, 3);
    browser.photograph("page-light").await;

    browser.click("#subscriptions-list li:last-child button").await;
    browser.until("document.querySelector('#subscriptions-list li:last-child button').ariaChecked === 'false'").await;
    let subscriptions = world.get("/_tollgate/subscriptions").await;
    assert_eq!(subscriptions["subscriptions"][2]["subscribed"], false);
    browser.click("[data-advance='3600']").await;
    browser.until("document.querySelector('#clock-offset').innerText !== ''").await;
    browser.click("#faults-form button").await;
    browser.until("document.querySelectorAll('#faults-list li').length === 1").await;
    assert_eq!(world.get("/_tollgate/faults").await["faults"][0]["fault"], "throttle");
    send(images(&world.client(&world.task().await), 1, 0)).await;
    browser.until(&format!("{newest}.includes('not-processed')")).await;
    browser.until("document.querySelectorAll('#faults-list li').length === 0").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_no_pointer() {
    let world = sold().await;
    let browser = opened(&world, true).await;
    browser.until("document.querySelectorAll('#calls-space .row:not([hidden])').length === 13").await;
    let focused = "document.activeElement.id";
    browser.keys(TAB).await;
    assert_eq!(browser.run("return document.activeElement.className").await, "skip");
    browser.keys("c").await;
    assert_eq!(browser.run(&format!("return {focused}")).await, "calls-list");
    browser.keys(&format!("{DOWN}{DOWN}{ENTER}")).await;
    browser.until("document.querySelector('#detail').open").await;
    let title = browser.run("return document.querySelector('#detail-title').innerText").await;
    assert_eq!(title, "Call 12: MeterUsage");
    browser.photograph("page-detail-dark").await;
    browser.keys(ESCAPE).await;
    browser.until("!document.querySelector('#detail').open").await;
    browser.keys("/").await;
    browser.keys("refused t").await;
    browser.until("document.querySelector('#calls-count').innerText === '2 of 13'").await;
    assert_eq!(browser.run("return document.documentElement.dataset.theme").await, "system", "typing is no shortcut");
    browser.photograph("page-dark").await;
    browser.keys(TAB).await;
    browser.keys("t").await;
    assert_eq!(browser.run("return document.documentElement.dataset.theme").await, "light");
    browser.keys("?").await;
    browser.until("document.querySelector('#help').open").await;
    browser.photograph("page-help").await;
    browser.keys(ESCAPE).await;
    browser.keys("s").await;
    assert_eq!(browser.run(&format!("return {focused}")).await, "subscriptions-title");
    browser.keys(&format!("{TAB} ")).await;
    browser.until("document.querySelector('#subscriptions-list button').ariaChecked === 'false'").await;
    let unreachable = "return [...document.querySelectorAll('button, a, input, select, summary')] \
        .filter((node) => node.tabIndex < 0).length";
    assert_eq!(browser.run(unreachable).await, 0);
    let unnamed = "return [...document.querySelectorAll('button, a, input, select')] \
        .filter((node) => !(node.innerText || node.labels?.length || node.ariaLabel)).map((node) => node.outerHTML)";
    assert_eq!(browser.run(unnamed).await, json!([]));
    assert_eq!(browser.complaints().await, [""; 0]);
}

/// The form of faults in light and dark, by keys alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_says_which_calls_it_hits_and_how_often() {
    let world = sold().await;
    for dark in [false, true] {
        let browser = opened(&world, dark).await;
        browser.until("document.querySelectorAll('#calls-space .row:not([hidden])').length === 13").await;
        let offered = "return ['dimensions', 'resources'].map((name) => document.querySelector(`#faults-${name}`).options.length)";
        assert_eq!(browser.run(offered).await, json!([3, 2]), "what calls have named");
        let resource = "document.querySelector('#faults-resources').options[0].value";
        let resource = browser.run(&format!("return {resource}")).await.as_str().unwrap().to_owned();

        let hidden =
            "return ['delay', 'skew'].map((name) => document.querySelector(`#faults-${name}`).closest('label').hidden)";
        assert_eq!(browser.run(hidden).await, json!([true, true]));
        browser.keys("f").await;
        browser.keys("delay").await;
        assert_eq!(browser.run(hidden).await, json!([false, true]), "only what a delay needs");
        for value in ["0.5", "Meter", "images", &resource, "5", "600", "0.25", "7"] {
            browser.keys(TAB).await;
            browser.keys(value).await;
        }
        browser.keys(&format!("{TAB} ")).await;
        browser.until("document.querySelectorAll('#faults-list li').length === 1").await;
        let fault = world.get("/_tollgate/faults").await["faults"][0].take();
        let until_ms = fault["until_ms"].as_u64().unwrap();
        assert_eq!(
            fault,
            json!({
                "id": fault["id"], "fault": "delay", "delay_ms": 500, "operation": "MeterUsage", "dimension": "images",
                "resource": resource, "count": 5, "for_s": 600, "probability": 0.25, "seed": 7, "skew_s": 3_600,
                "left": 5, "hits": 0, "until_ms": until_ms,
            })
        );
        let said = browser.run("return document.querySelector('#faults-list li span').innerText").await;
        let wanted = format!(
            "delay MeterUsage images {resource}, each with probability 0.25, seed 7, 5 more, until 2026-11-20 14:4"
        );
        assert!(said.as_str().unwrap().starts_with(&wanted), "{said}");
        browser.photograph(if dark { "page-faults-dark" } else { "page-faults-light" }).await;

        browser.keys("f").await;
        browser.keys("wrong").await;
        assert_eq!(browser.run(hidden).await, json!([true, false]));
        browser.click("#faults-clear").await;
        browser.until("document.querySelectorAll('#faults-list li').length === 0").await;
        assert_eq!(browser.complaints().await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_are_a_window_of_rows() {
    let world = World::new().await;
    world.unsigned_calls(10_000).await;
    let browser = opened(&world, false).await;
    browser.until("document.querySelector('#calls-count').innerText === '10000'").await;
    let rows = "return document.querySelectorAll('#calls-space .row').length";
    assert!(browser.run(rows).await.as_u64().unwrap() < 60);
    browser
        .run(
            "window.seen = 0; new MutationObserver((list) => { window.seen += list.length; }).observe(document.body, \
        { subtree: true, childList: true, characterData: true, attributes: true });",
        )
        .await;
    world.unsigned_calls(1).await;
    browser.until("document.querySelector('#calls-count').innerText === '10001'").await;
    let seen = browser.run("return window.seen").await.as_u64().unwrap();
    assert!(seen < 120, "{seen} nodes were touched by one call");

    browser.keys("c").await;
    browser.keys("\u{e010}").await;
    browser.until("document.querySelector('#calls-list').scrollTop > 299000").await;
    let oldest =
        "[...document.querySelectorAll('#calls-space .row:not([hidden])')].find((row) => row.ariaSelected === 'true')";
    browser.until(&format!("{oldest}?.firstChild.innerText === '1'")).await;
    assert!(browser.run(rows).await.as_u64().unwrap() < 60);
    world.unsigned_calls(1).await;
    browser.until("document.querySelector('#calls-count').innerText === '10002'").await;
    browser.until(&format!("{oldest}?.firstChild.innerText === '1'")).await;
    let (top, bottom) = ("getBoundingClientRect().top", "getBoundingClientRect().bottom");
    let in_view = format!(
        "return {oldest}.{bottom} <= document.querySelector('#calls-list').{bottom} + 1 && \
        {oldest}.{top} >= document.querySelector('#calls-list').{top}"
    );
    assert_eq!(browser.run(&in_view).await, true, "what is read stays in view when calls arrive");
    browser.photograph("page-ten-thousand").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn the_page_is_of_this_origin_only_and_nobody_elses() {
    let world = World::new().await;
    let answer = world.whole(&http_request("GET", "/", &[], "")).await;
    assert!(answer.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{answer}");
    let page = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert!(!page.contains("style=") && !page.contains("onclick") && !page.contains("<script>"), "nothing inline");
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing from elsewhere");
    let evil = [("origin", "http://evil.example")];
    let (status, body) = world.raw(&http_request("DELETE", "/_tollgate/faults", &evil, "")).await;
    assert_eq!((status, body.as_str()), (403, r#"{"error":"another origin cannot change the emulator"}"#));
    let rebound = http_request("GET", "/_tollgate/calls", &[], "").replace("host: emulator", "host: evil.example");
    assert_eq!(world.raw(&rebound).await.0, 403);
}
