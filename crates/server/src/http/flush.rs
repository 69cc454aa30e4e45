//! Messages that are ready together leave together.
//!
//! The library that speaks the protocol flushes after every message, which is one system call for each; here it is flushed
//! when there is nothing more to say for now.

use futures::Sink;
use parking_lot::Mutex;
use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

/// A sink that flushes when [`talk`] has nothing more to say.
#[derive(Debug)]
pub struct Flushing<S>(Arc<Mutex<Held<S>>>);

#[derive(Debug)]
struct Held<S> {
    sink: S,
    /// Something was said that may still be here.
    dirty: bool,
}

impl<S> Clone for Flushing<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Flushing<S> {
    pub fn new(sink: S) -> Self {
        Self(Arc::new(Mutex::new(Held { sink, dirty: false })))
    }
}

impl<S: Sink<M> + Unpin, M> Sink<M> for Flushing<S> {
    type Error = S::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Pin::new(&mut self.0.lock().sink).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), S::Error> {
        let mut held = self.0.lock();
        held.dirty = true;
        Pin::new(&mut held.sink).start_send(message)
    }

    /// Does nothing: [`talk`] does it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Pin::new(&mut self.0.lock().sink).poll_close(cx)
    }
}

/// Lets `talk` speak into `sink`, and flushes whenever it waits for something. Ends with the talk, or when nobody is there
/// to hear it.
pub async fn talk<S: Sink<M> + Unpin, M>(sink: Flushing<S>, talk: impl Future<Output = ()>) {
    let mut talk = pin!(talk);
    let mut over = false;
    std::future::poll_fn(|cx| {
        over = over || talk.as_mut().poll(cx).is_ready();
        let mut held = sink.0.lock();
        if held.dirty {
            match Pin::new(&mut held.sink).poll_flush(cx) {
                Poll::Ready(Ok(())) => held.dirty = false,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                // It is woken, and comes here again.
                Poll::Pending => return Poll::Pending,
            }
        }
        if over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{SinkExt as _, channel::oneshot};
    use std::{convert::Infallible, future::pending};

    /// What was flushed, and in how many goes; a flush takes two looks.
    #[derive(Debug, Default)]
    struct Slow {
        waits: Vec<u8>,
        left: Vec<Vec<u8>>,
        asked: bool,
    }

    impl Sink<u8> for Slow {
        type Error = Infallible;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(mut self: Pin<&mut Self>, message: u8) -> Result<(), Infallible> {
            self.waits.push(message);
            Ok(())
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.asked = !self.asked;
            if self.asked {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let left = std::mem::take(&mut self.waits);
            self.left.push(left);
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_is_ready_together_leaves_together_and_the_last_word_too() {
        let sink = Flushing::new(Slow::default());
        let (go_on, goes_on) = oneshot::channel();
        let mut mouth = sink.clone();
        let talking = tokio::spawn(talk(sink.clone(), async move {
            for word in [1, 2, 3] {
                mouth.send(word).await.expect("is taken");
            }
            goes_on.await.expect("is told");
            mouth.send(4).await.expect("is taken");
        }));
        while sink.0.lock().dirty || sink.0.lock().sink.left.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(sink.0.lock().sink.left, [vec![1, 2, 3]]);
        go_on.send(()).expect("is heard");
        talking.await.expect("ends");
        assert_eq!(sink.0.lock().sink.left, [vec![1, 2, 3], vec![4]]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_flushed_while_nothing_is_said() {
        let sink = Flushing::new(Slow::default());
        let silent = talk(sink.clone(), pending());
        tokio::time::timeout(std::time::Duration::from_secs(1), silent).await.expect_err("goes on");
        assert!(sink.0.lock().sink.left.is_empty());
    }
}
