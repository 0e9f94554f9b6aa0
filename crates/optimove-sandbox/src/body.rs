//! The bodies that the server sends: whole, chunked, cut in the middle, or made as they go.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::switch::Transfer;

/// A body of an answer.
pub(crate) struct Body(Kind);

enum Kind {
    /// In one piece, with its length.
    Full(Option<Bytes>),
    /// In one piece, without its length.
    Chunked(Option<Bytes>),
    /// A beginning, and then the connection breaks.
    Cut {
        beginning: Option<Bytes>,
        promised: Option<u64>,
        flushed: bool,
    },
    /// As long as the iterator goes on.
    Stream(Box<dyn Iterator<Item = Bytes> + Send>),
}

/// The connection is broken on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the answer is cut on purpose")]
pub(crate) struct Broken;

impl Body {
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(Some(bytes)))
    }

    pub(crate) fn chunked(bytes: Bytes) -> Self {
        Self(Kind::Chunked(Some(bytes)))
    }

    /// The first half of `bytes` where the whole was promised.
    pub(crate) fn cut(bytes: &Bytes, transfer: Transfer) -> Self {
        let promised = match transfer {
            Transfer::ContentLength => Some((bytes.len() as u64).max(2)),
            Transfer::Chunked => None,
        };
        let beginning = Some(bytes.slice(..bytes.len() / 2));
        Self(Kind::Cut {
            beginning,
            promised,
            flushed: false,
        })
    }

    pub(crate) fn stream(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        Self(Kind::Stream(Box::new(pieces)))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let next = match &mut self.0 {
            Kind::Full(bytes) | Kind::Chunked(bytes) => bytes.take().filter(|b| !b.is_empty()),
            Kind::Stream(pieces) => pieces.next(),
            Kind::Cut {
                beginning, flushed, ..
            } => {
                let beginning = beginning.take().filter(|bytes| !bytes.is_empty());
                if beginning.is_none() {
                    // Waiting once makes the connection send what it has before it breaks.
                    if std::mem::replace(flushed, true) {
                        return Poll::Ready(Some(Err(Broken)));
                    }
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                beginning
            }
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Chunked(bytes) => bytes.is_none(),
            Kind::Cut { .. } | Kind::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Cut {
                promised: Some(promised),
                ..
            } => SizeHint::with_exact(*promised),
            Kind::Chunked(_) | Kind::Cut { .. } | Kind::Stream(_) => SizeHint::default(),
        }
    }
}
