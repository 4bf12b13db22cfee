//! The tunnel to a server with a certificate: what the proxy sees, and what comes back through it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;

/// TLS for `localhost`, and the root to trust for it.
fn tls() -> (TlsAcceptor, String) {
    use base64::Engine as _;
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root = base64::engine::general_purpose::STANDARD.encode(params.self_signed(&root_key).unwrap().der());
    let issuer = Issuer::new(params, root_key);
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (Arc::new(config).into(), format!("-----BEGIN CERTIFICATE-----\n{root}\n-----END CERTIFICATE-----\n"))
}

/// A server that accepts every record, behind TLS.
async fn server(acceptor: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let body = r#"{"MeteringRecordId":"r-1"}"#;
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if stream.read(&mut request).await.is_ok() {
                stream.write_all(reply.as_bytes()).await.unwrap();
                // Until the client is done with the connection.
                let _ = stream.read(&mut request).await;
            }
        }
    });
    address
}

/// A proxy that answers `CONNECT` with `status` and leads to `server`; and everything that it could read.
async fn proxy(server: SocketAddr, status: &'static str) -> (Proxy, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let read: Arc<Mutex<Vec<u8>>> = Arc::default();
    let all = Arc::clone(&read);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.unwrap();
            all.lock().unwrap().extend_from_slice(&part[..length]);
            stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
            if !status.starts_with("200") {
                continue;
            }
            let (mut here, mut there) = (stream, TcpStream::connect(server).await.unwrap());
            let length = here.read(&mut part).await.unwrap();
            all.lock().unwrap().extend_from_slice(&part[..length]);
            there.write_all(&part[..length]).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut here, &mut there).await });
        }
    });
    (Proxy::parse(&format!("http://{address}")).unwrap(), read)
}

#[tokio::test]
async fn a_record_goes_through_a_tunnel_in_which_only_tls_is_seen() {
    let (acceptor, root) = tls();
    let server = server(acceptor).await;
    let (container, _) = super::server(CREDENTIALS, Act::Drop).await;
    let origins = Origins::lab(format!("https://localhost:{}", server.port()), container);
    let ask = async |roots: &[&str], proxy: &Proxy| {
        let aws = Aws::trusting(roots, &place(), &origins, &Clock::system(), Some(proxy)).unwrap();
        aws.meter_usage(record(false)).await.reply
    };
    let (open, read) = proxy(server, "200 OK").await;
    assert_eq!(ask(&[&root], &open).await, Reply::Accepted { record_id: "r-1".into() });
    let seen = read.lock().unwrap().clone();
    let end = seen.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let asked = String::from_utf8_lossy(&seen[..end]).into_owned();
    assert!(asked.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port())), "{asked}");
    // A TLS record of a handshake, in which the name of the product is not to be read.
    assert_eq!(seen[end], 0x16);
    assert!(!seen.windows(6).any(|window| window == b"images"));
    // Whoever opens TLS has no certificate of AWS.
    let refused = ask(&ROOTS, &open).await;
    assert!(matches!(&refused, Reply::NotProcessed { code } if code.contains("certificate")), "{refused:?}");
    let (closed, _) = proxy(server, "407 Proxy Authentication Required").await;
    let refused = ask(&[&root], &closed).await;
    assert!(matches!(&refused, Reply::NotProcessed { code } if code.starts_with("no connection")), "{refused:?}");
}
