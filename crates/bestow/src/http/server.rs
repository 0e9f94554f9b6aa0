//! Takes connections and serves HTTP/1.1 on each, with a limit on everything a client can make us
//! wait for or keep.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::edge::{Crowd, Edge, Place};
use crate::http::routes::{Front, Offer};
use crate::http::socket::Socket;

/// Bytes of a request's head, and of what is read ahead of its body.
const HEAD_BYTES_MAX: usize = 64 * 1_024;
/// Fields of a request's head.
const HEAD_FIELDS_MAX: usize = 64;
/// How long a client may leave an answer unread.
const WRITE_STALL_MAX: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection, so that a lack of descriptors does not become a
/// busy loop.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
    edge: Edge,
    offer: Offer,
}

impl Server {
    /// Listens. Where the app knows no public URL yet, it is `http://` and the address.
    ///
    /// # Errors
    /// [`Error::Conflict`] with `cannot_listen`; [`Error::Invalid`] for hosts and proxies that cannot be read.
    pub async fn bind(app: Arc<App>, address: SocketAddr) -> Result<Self> {
        let refused = |error: std::io::Error| {
            let message = format!(
                "cannot listen on {address}: {error}; choose another address with BESTOW_LISTEN"
            );
            Error::conflict("cannot_listen", message)
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let public_url = app.public_url.get_or_init(|| format!("http://{address}"));
        let edge = Edge::new(&app.config.http, public_url)?;
        Ok(Self {
            app,
            listener,
            address,
            edge,
            offer: Offer::Service,
        })
    }

    /// Offers the empty handlers of a bench, too: `POST /noop`, and behind the doors of the API
    /// `POST /v1/tenants/{tenant}/noop`.
    #[must_use]
    pub fn with_bench_routes(self) -> Self {
        Self {
            offer: Offer::Bench,
            ..self
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then takes no more connections, lets running requests end within the
    /// time of the settings, and cuts off what is left.
    pub async fn run(self, stop: CancellationToken) {
        let limits = self.app.config.http.clone();
        let cut = CancellationToken::new();
        let entrance = Entrance {
            listener: self.listener,
            places: Arc::new(Semaphore::new(limits.connections_max)),
            crowd: Crowd::new(limits.connections_per_address_max),
            edge: self.edge.clone(),
        };
        let serving = Serving {
            front: Front::new(&self.app, stop.clone(), self.edge, self.offer),
            head_time_max: Duration::from_secs(limits.head_seconds_max),
            stop: stop.clone(),
            cut: cut.clone(),
        };
        let tasks = TaskTracker::new();
        while let Some(come) = entrance.next(&stop).await {
            let serving = serving.for_one();
            tasks.spawn(async move {
                serving.connection(come.stream, come.peer).await;
                drop(come.places);
            });
        }
        drop(entrance);
        tasks.close();
        let drain = Duration::from_secs(limits.drain_seconds_max);
        if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "connections were cut off to stop"
            );
            cut.cancel();
            tasks.wait().await;
        }
    }
}

/// Where connections come in.
struct Entrance {
    listener: TcpListener,
    places: Arc<Semaphore>,
    crowd: Arc<Crowd>,
    edge: Edge,
}

/// A connection that came in, with its places: among all, and among those of its address.
struct Come {
    stream: TcpStream,
    peer: IpAddr,
    places: (OwnedSemaphorePermit, Option<Place>),
}

impl Entrance {
    /// The next connection, once there is a place for it; `None` when it is time to stop.
    async fn next(&self, stop: &CancellationToken) -> Option<Come> {
        let taken = async {
            let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
            loop {
                match self.listener.accept().await {
                    Ok((stream, peer)) => {
                        let peer = peer.ip();
                        let theirs = self.crowd.enter(peer);
                        // Behind a proxy there are many clients. One too many is closed without a word.
                        if theirs.is_some() || self.edge.is_proxy(peer) {
                            let places = (place, theirs);
                            return Some(Come {
                                stream,
                                peer,
                                places,
                            });
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(REFUSED_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            taken = taken => taken,
            () = stop.cancelled() => None,
        }
    }
}

/// What serves each connection.
#[derive(Clone)]
struct Serving {
    front: Front,
    head_time_max: Duration,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Serving {
    /// For one connection, whose tokens are its own: all looking at the same ones would wait for each other.
    fn for_one(&self) -> Self {
        Self {
            front: self.front.clone(),
            head_time_max: self.head_time_max,
            stop: self.stop.child_token(),
            cut: self.cut.child_token(),
        }
    }

    async fn connection(self, stream: TcpStream, peer: IpAddr) {
        // Answers are small and complete: waiting to fill a packet would only delay them.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let io = TokioIo::new(Socket::new(stream, WRITE_STALL_MAX));
        let front = self.front;
        let answer = |request| {
            let front = front.clone();
            async move { Ok::<_, Infallible>(front.answer(request, peer).await) }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_time_max)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEAD_FIELDS_MAX)
            .serve_connection(io, service_fn(answer));
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = self.cut.cancelled() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}
