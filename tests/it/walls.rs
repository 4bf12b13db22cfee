//! A network of one's own, in which every address of the Internet is on this machine: a guest that gets out is seen.
//!
//! The test starts itself again in new namespaces (`unshare`), where all addresses are routed to the loopback device,
//! names are answered by [`answer`], and one server listens on every address. On [`PUBLIC`] it answers like a server of
//! the Internet; a connection to any other address is written down.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Set in the inner process.
const INSIDE: &str = "TOLLGATE_TEST_INSIDE";
const PUBLIC: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(1, 2, 3, 4)), IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 1))];
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

const SETUP: &str = r#"
set -e
ip link set lo up
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/hosts" /etc/hosts
shift
exec "$@"
"#;

/// False: `test` was run in a network of its own, and passed. True: this is that run.
#[expect(clippy::disallowed_methods, reason = "how a test tells itself where it runs")]
pub(crate) fn inside(test: &str, hosts: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    // Five dots as in a pod, where shorter names are looked for below the search domains first.
    std::fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.53\noptions timeout:2 attempts:2 ndots:5\n")
        .unwrap();
    std::fs::write(folder.path().join("hosts"), format!("127.0.0.1 localhost\n{hosts}")).unwrap();
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--", "sh", "-c", SETUP, "sh"]).arg(folder.path());
    command.arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    let ended = command.output().unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && said.contains("1 passed"), "unshare, ip and mount are needed:\n{said}");
    false
}

/// All servers of the world.
pub(crate) struct World {
    caught: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let caught = Arc::new(Mutex::new(Vec::new()));
        for port in [80, 443, 2375, 8080, 9080, 10250] {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await.unwrap();
            tokio::spawn(listen(listener, Arc::clone(&caught)));
        }
        answer_names(addresses).await;
        Self { caught }
    }

    /// Where somebody connected to who should not have.
    pub(crate) fn caught(&self) -> Vec<String> {
        self.caught.lock().unwrap().clone()
    }
}

async fn listen(listener: TcpListener, caught: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let to = stream.local_addr().unwrap();
        if PUBLIC.contains(&to.ip().to_canonical()) {
            tokio::spawn(serve(stream));
        } else {
            caught.lock().unwrap().push(to.to_string());
        }
    }
}

/// A server of the Internet: at 443 one that speaks no TLS, elsewhere `/`, `/to/URL` (a redirect), `/silent`, `/big`, `/bomb`.
async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    if stream.local_addr()?.port() == 443 {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
    }
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&part[..read]);
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let close = "connection: close\r\n";
    match path {
        "/silent" => {
            let mut rest = [0; 1];
            // Until the other side gives up.
            while stream.read(&mut rest).await? > 0 {}
            Ok(())
        }
        "/big" => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{close}\r\n").as_bytes()).await?;
            let part = vec![b'.'; 1 << 20];
            for _ in 0..8 {
                stream.write_all(&part).await?;
            }
            Ok(())
        }
        "/bomb" => {
            let fields = format!("x-bomb: {}\r\n", "b".repeat(1 << 20));
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes()).await
        }
        _ => {
            let head = match path.strip_prefix("/to/") {
                Some(place) => format!("HTTP/1.1 302 Found\r\nlocation: {place}"),
                None => "HTTP/1.1 200 OK".to_owned(),
            };
            stream.write_all(format!("{head}\r\ncontent-length: 5\r\n{close}\r\nhello").as_bytes()).await
        }
    }
}

/// What names stand for; `flip.test` changes its mind each time.
fn addresses(name: &str, turn: u32) -> Vec<IpAddr> {
    let texts: &[&str] = match name {
        "public.test" => &["1.2.3.4"],
        "six.test" => &["2606:4700::1"],
        "imds.test" => &["169.254.169.254"],
        "imds6.test" => &["fd00:ec2::254"],
        "ecs.test" => &["169.254.170.2"],
        "pod.test" => &["169.254.170.23"],
        "pod6.test" => &["fd00:ec2::23"],
        "mapped.test" => &["::ffff:169.254.169.254"],
        "compatible.test" => &["::169.254.169.254"],
        "nat64.test" => &["64:ff9b::a9fe:a9fe"],
        "six-to-four.test" => &["2002:a9fe:a9fe::1"],
        "teredo.test" => &["2001:0:1::5601:5601"],
        "loopback.test" => &["127.0.0.1"],
        "loopback6.test" => &["::1"],
        "private.test" => &["10.0.0.7"],
        "shared.test" => &["100.64.0.1"],
        "multicast.test" => &["224.0.0.1"],
        "zero.test" => &["0.0.0.0"],
        "mixed.test" => &["1.2.3.4", "169.254.170.2"],
        "flip.test" => return vec![if turn.is_multiple_of(2) { PUBLIC[0] } else { METADATA.into() }],
        _ => &[],
    };
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What a name stands for when it is asked for the how-manieth time.
type Lookup = fn(&str, u32) -> Vec<IpAddr>;

/// Answers for names from now on.
pub(crate) async fn answer_names(lookup: Lookup) {
    let socket = UdpSocket::bind("127.0.0.53:53").await.unwrap();
    tokio::spawn(async move {
        let turn = AtomicU32::new(0);
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            if let Some(reply) = answer(&packet[..length], lookup, &turn) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
}

/// The reply to one question (RFC 1035, section 4), with a time to live of zero.
fn answer(question: &[u8], lookup: Lookup, turn: &AtomicU32) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name.push(String::from_utf8_lossy(question.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*question.get(at)?, *question.get(at + 1)?]);
    let end = at + 4;
    let turn = if kind == 1 { turn.fetch_add(1, Ordering::SeqCst) } else { 0 };
    let data: Vec<Vec<u8>> = lookup(&name.join("."), turn)
        .into_iter()
        .filter_map(|ip| match (ip, kind) {
            (IpAddr::V4(ip), 1) => Some(ip.octets().to_vec()),
            (IpAddr::V6(ip), 28) => Some(ip.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1, 0, u8::try_from(data.len()).ok()?, 0, 0, 0, 0]);
    reply.extend_from_slice(question.get(12..end)?);
    for data in data {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(data.len()).ok()?]);
        reply.extend(data);
    }
    Some(reply)
}
