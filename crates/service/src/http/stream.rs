//! A connection whose client must take what it asked for.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{connections::Connection, pace::Pace};

/// How many bytes the kernel keeps that it could not send yet. Its own limit is 4 MiB a connection,
/// which it gives to clients that do not read as well.
const UNSENT: u32 = 128 * 1024;

/// A connection that is closed when its client takes nothing of an answer, or too little, for too
/// long.
pub(super) struct Stream {
    socket: TcpStream,
    writing: Pace,
    connection: Connection,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, patience: Duration, connection: Connection) -> Self {
        // Small answers must not wait for the acknowledgement of the one before.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
        if let Err(error) = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT) {
            tracing::debug!(%error, "TCP_NOTSENT_LOWAT refused");
        }
        Self { socket, writing: Pace::new(patience), connection }
    }

    fn paced(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => self.writing.moved(bytes),
            Poll::Pending if self.writing.poll_too_slow(context).is_ready() => {
                // The kernel would keep what it could not send until the client is gone.
                if let Err(error) = self.socket.set_zero_linger() {
                    tracing::debug!(%error, "SO_LINGER refused");
                }
                tracing::debug!("a client does not take its answer");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        written
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(context, bytes);
        this.paced(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(context, slices);
        this.paced(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // hyper flushes once it has written all that it had.
        let flushed = Pin::new(&mut this.socket).poll_flush(context);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            this.connection.flushed();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
