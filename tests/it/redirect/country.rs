//! The network of the buyer's: the services of ECS where they belong, AWS at an address of its own, and a trap at every
//! other address. Everything that comes is written down.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use crate::walls;

/// Where ECS answers for a task.
const CONTAINER: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2));
/// What DNS says of AWS.
const AWS: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 2, 3, 4));
/// What nobody asked for is not read to its end.
const READ_MAX: usize = 4096;

/// The trap of a row.
pub(super) fn trap(row: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 6, 0, u8::try_from(row).unwrap()))
}

/// Something that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A TLS hello for this name, where AWS is.
    Aws(String),
    /// At a trap: TLS that the client broke off.
    Refused(IpAddr),
    /// Anywhere else: what was sent, or its first line.
    Caught(SocketAddr, String),
}

#[derive(Clone)]
pub(super) struct Country {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Has a certificate of the buyer's authority for the names of forged rows.
    forged: TlsAcceptor,
}

impl Country {
    pub(super) async fn start(forged: TlsAcceptor) -> Self {
        let country = Self { seen: Arc::default(), forged };
        for port in [80, 443, 3128] {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await.unwrap();
            let country = country.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let country = country.clone();
                    // A client that goes away has said what it had to say.
                    tokio::spawn(async move { drop(country.answer(stream).await) });
                }
            });
        }
        walls::answer_names(addresses).await;
        country
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    async fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let at = stream.local_addr()?;
        let at = SocketAddr::new(at.ip().to_canonical(), at.port());
        match (at.ip(), at.port()) {
            (CONTAINER, 80) => platform(stream).await,
            (AWS, 443) => self.aws(stream).await,
            (_, 443) => self.forger(stream, at).await,
            (_, 3128) => self.proxy(stream, at).await,
            _ => self.caught(stream, at).await,
        }
    }

    /// Nobody but AWS has its keys, so here it ends after the hello.
    async fn aws(&self, stream: TcpStream) -> std::io::Result<()> {
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let name = hello.client_hello().server_name().unwrap_or("nobody").to_owned();
        self.note(Seen::Aws(name));
        Ok(())
    }

    async fn forger(&self, stream: TcpStream, at: SocketAddr) -> std::io::Result<()> {
        match self.forged.accept(stream).await {
            Ok(stream) => self.caught(stream, at).await,
            Err(_) => {
                self.note(Seen::Refused(at.ip()));
                Ok(())
            }
        }
    }

    /// Takes `CONNECT`. At an even address it is honest and passes everything on to AWS; at an odd one it answers itself.
    async fn proxy(&self, mut stream: TcpStream, at: SocketAddr) -> std::io::Result<()> {
        let asked = head(&mut stream).await?;
        self.note(Seen::Caught(at, first_line(&asked)));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        let honest = matches!(at.ip(), IpAddr::V4(ip) if ip.octets()[3].is_multiple_of(2));
        if honest {
            let mut aws = TcpStream::connect((AWS, 443)).await?;
            tokio::io::copy_bidirectional(&mut stream, &mut aws).await.map(drop)
        } else {
            self.forger(stream, at).await
        }
    }

    async fn caught(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, at: SocketAddr) -> std::io::Result<()> {
        let asked = head(&mut stream).await.unwrap_or_default();
        self.note(Seen::Caught(at, first_line(&asked)));
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await
    }
}

/// What is sent until a head is complete, or the client waits or ends.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut part = [0; 1024];
    while bytes.len() < READ_MAX && !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut part).await? {
            0 => break,
            length => bytes.extend_from_slice(&part[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The metadata and credentials of a task in the region that its path names.
async fn platform(mut stream: TcpStream) -> std::io::Result<()> {
    let asked = head(&mut stream).await?;
    let path: Vec<&str> = asked.split(' ').nth(1).unwrap_or_default().split('/').collect();
    let (status, body) = match path.as_slice() {
        ["", "v4", region, "task"] => {
            ("200 OK", format!(r#"{{"TaskARN":"arn:aws:ecs:{region}:111122223333:task/shop/{region}"}}"#))
        }
        ["", "v2", "credentials", _] => (
            "200 OK",
            r#"{"RoleArn":"arn:aws:iam::111122223333:role/task","AccessKeyId":"ASIATASK","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#
                .to_owned(),
        ),
        _ => ("404 Not Found", String::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

/// The services of AWS are AWS's, but for the regions whose names lead to a trap; and so do names below the trap's.
fn addresses(name: &str, _: u32) -> Vec<IpAddr> {
    let services =
        ["metering.marketplace.us-case-", "sts.us-case-", "metering.marketplace.us-east-1.", "sts.us-east-1."];
    let numbered = |text: &str| text.parse().ok().map(trap);
    if name == "sts.amazonaws.com" {
        return vec![trap(250)];
    }
    if let Some(below) = name.strip_suffix(".trap.test") {
        return below.rsplit('.').next().and_then(numbered).into_iter().collect();
    }
    if services.iter().any(|service| name.starts_with(service)) && name.ends_with(".amazonaws.com") {
        return vec![AWS];
    }
    let labels = name.split('.').filter_map(|label| label.strip_prefix("us-")?.rsplit_once('-'));
    let of_aws = name.ends_with(".amazonaws.com") || name.ends_with(".api.aws");
    labels.filter(|_| of_aws).filter_map(|(_, number)| numbered(number)).collect()
}
