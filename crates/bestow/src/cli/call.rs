//! A plain HTTP caller for this machine: what demo and benches talk to the service and to the
//! stand-in with.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Calls one server, with a bearer token if there is one.
#[derive(Debug, Clone)]
pub struct Caller {
    address: SocketAddr,
    token: Option<String>,
}

impl Caller {
    /// A caller of the server at `address`.
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self {
            address,
            token: token.map(str::to_owned),
        }
    }

    /// Where it calls.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One request with a JSON body (none where it is null); gives the status and the JSON
    /// answered.
    ///
    /// # Errors
    /// Where there is no answer. An answer that is not JSON reads as null.
    pub async fn json(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.send(method, path, "application/json", body).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        Ok((
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        ))
    }

    /// Like [`Caller::json`], where anything but success is an error.
    ///
    /// # Errors
    /// Where there is no answer, or one that says no.
    pub async fn ok(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, answer) = self.json(method.clone(), path, body).await?;
        ensure!(
            status.is_success(),
            "{method} {path} was answered {status}: {answer}"
        );
        Ok(answer)
    }

    /// Hands over each line of a streamed answer, without holding the whole.
    ///
    /// # Errors
    /// Where there is no answer, one that says no, or one that is cut off; or the taker's own.
    pub async fn lines(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let answer = self
            .send(Method::GET, path, "application/x-ndjson", String::new())
            .await?;
        let status = answer.status();
        ensure!(status.is_success(), "GET {path} was answered {status}");
        let mut body = answer.into_body();
        let mut rest: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            rest.extend_from_slice(&data);
            let mut start = 0;
            while let Some(end) = rest[start..].iter().position(|byte| *byte == b'\n') {
                take(&rest[start..start + end])?;
                start += end + 1;
            }
            rest.drain(..start);
        }
        if rest.is_empty() { Ok(()) } else { take(&rest) }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: String,
    ) -> anyhow::Result<http::Response<Incoming>> {
        let stream = TcpStream::connect(self.address)
            .await
            .with_context(|| format!("connecting to {}", self.address))?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(sender.send_request(request).await?)
    }
}
