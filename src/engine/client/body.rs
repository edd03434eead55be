//! What a request sends: nothing, bytes, or a stream that a thread reads.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::request::Content;

/// The type of all bodies.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Returns the body of a request.
///
/// # Errors
/// No thread is to be had.
pub(super) fn body(content: Content) -> io::Result<Body> {
    match content {
        Content::Nothing => Ok(Empty::new().map_err(|never| match never {}).boxed_unsync()),
        Content::Bytes(bytes) => {
            Ok(Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync())
        }
        Content::Stream(from) => streamed(from),
    }
}

fn streamed(mut from: Box<dyn Read + Send>) -> io::Result<Body> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
    std::thread::Builder::new().name("upload".to_owned()).spawn(move || {
        loop {
            let mut buffer = vec![0; 64 << 10];
            let item = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    buffer.truncate(count);
                    Ok(Bytes::from(buffer))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = item.is_err();
            // An engine that has answered already wants no more.
            if sender.blocking_send(item).is_err() || failed {
                return;
            }
        }
    })?;
    let items =
        stream::unfold(
            receiver,
            |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) },
        );
    Ok(StreamBody::new(items.map(|item| item.map(Frame::data))).boxed_unsync())
}
