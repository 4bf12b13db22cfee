//! Headless Chromium, driven by the WebDriver protocol. What is missing is installed from Debian's packages.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::install;

const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";

/// A browser that has not ended by then hangs.
const QUIT_MAX: Duration = Duration::from_secs(30);

/// A browser window. Dropping it ends the browser.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

/// Starts a driver on a port of its choice. It chooses one that is free for IPv4, and ends with "IPv6 port not available" if
/// another test has it there; then the next one chooses another.
fn driver() -> (Child, u16) {
    let mut said = Vec::new();
    for _ in 0..10 {
        let mut driver = Command::new(CHROMEDRIVER).arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        for line in BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok) {
            let port = line.strip_suffix('.').and_then(|line| line.rsplit_once("on port ")?.1.parse().ok());
            if let Some(port) = port.filter(|&port| port != 0) {
                return (driver, port);
            }
            said.push(line);
        }
        let ended = driver.wait().unwrap();
        said.push(ended.to_string());
    }
    panic!("no driver stays:\n{}", said.join("\n"))
}

impl Browser {
    pub(crate) async fn start(dark: bool) -> Self {
        install::system(&["chromium", "chromium-driver"], &[CHROMIUM, CHROMEDRIVER]);
        let (driver, port) = driver();
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--window-size=1400,1300",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let options = json!({ "binary": CHROMIUM, "args": arguments });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let answer = browser.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } })).await;
        browser.session = answer["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        browser
    }

    pub(crate) async fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url })).await;
    }

    /// What a function body returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0]; const look = () => ({condition}) ? done(true) : requestAnimationFrame(look); look();"
        );
        let answer = self.command("POST", "/execute/async", &json!({ "script": script, "args": [] })).await;
        assert_eq!(answer, true, "{condition}");
    }

    /// Clicks where the first element is.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.command("POST", &format!("/element/{element}/click"), &json!({})).await;
    }

    /// Types into whatever has the focus.
    pub(crate) async fn keys(&self, keys: &str) {
        let strokes = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|event| json!({ "type": event, "value": key.to_string() })));
        let source = json!({ "type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>() });
        self.command("POST", "/actions", &json!({ "actions": [source] })).await;
    }

    /// Saves what can be seen, for human eyes.
    pub(crate) async fn photograph(&self, name: &str) {
        let image = self.command("GET", "/screenshot", &Value::Null).await;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, image.as_str().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the browser complained of: scripts that failed, policies that were broken.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.command("POST", "/se/log", &json!({ "type": "browser" })).await;
        log.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    async fn find(&self, css: &str) -> String {
        let found = self.command("POST", "/element", &json!({ "using": "css selector", "value": css })).await;
        let id = found
            .as_object()
            .and_then(|found| found.values().next()?.as_str())
            .unwrap_or_else(|| panic!("{css}: {found}"));
        id.to_owned()
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body).await
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}",
            self.port
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // The driver leaves the connection open, whatever it is asked.
        let mut answer = Vec::new();
        let whole = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
            let length: usize = text.split_once("content-length:")?.1.split("\r\n").next()?.trim().parse().ok()?;
            let start = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
            answer.get(start..start + length).map(<[u8]>::to_vec)
        };
        let body = loop {
            if let Some(body) = whole(&answer) {
                break body;
            }
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the driver hung up: {path}");
        };
        serde_json::from_slice::<Value>(&body).unwrap()["value"].take()
    }
}

impl Browser {
    /// Ends the session and with it the browser: the driver answers once it is gone.
    fn quit(&self) -> io::Result<()> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(QUIT_MAX))?;
        let (session, port) = (&self.session, self.port);
        write!(stream, "DELETE /session/{session} HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: 0\r\n\r\n")?;
        stream.read_exact(&mut [0])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver that is killed leaves its browser behind. There is nobody to tell if it cannot be asked any more.
        let _ = self.quit();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
