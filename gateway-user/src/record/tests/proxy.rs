//! The network between the gateway and PostgreSQL, as bad as a test wants it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
};

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It works.
    Open,
    /// New connections are closed at once.
    Closed,
    /// What is sent is swallowed, and nothing comes back.
    Silent,
    /// The next commit arrives, its answer does not: the connection is cut. Then [`Way::Closed`].
    AnswerLost,
    /// The next commit does not arrive: the connection is cut. Then [`Way::Open`].
    CommitLost,
}

/// A TCP port that leads to the server's socket.
pub(crate) struct Proxy {
    port: u16,
    way: Arc<Mutex<Way>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Mutex::new(Way::Open));
        let task = tokio::spawn({
            let way = Arc::clone(&way);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    if *way.lock().unwrap() != Way::Closed {
                        tokio::spawn(relay(client, socket.clone(), Arc::clone(&way)));
                    }
                }
            }
        });
        Self { port, way, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    pub(crate) fn way(&self) -> Way {
        *self.way.lock().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until either side ends, or the way says so.
async fn relay(mut client: TcpStream, socket: PathBuf, way: Arc<Mutex<Way>>) {
    let mut server = UnixStream::connect(socket).await.unwrap();
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            count = client.read(&mut asked) => {
                let Ok(count @ 1..) = count else { return };
                let bytes = asked.get(..count).unwrap();
                // The simple query `COMMIT`, as it is on the wire.
                let commit = bytes.windows(7).any(|window| window == b"COMMIT\0");
                let now = *way.lock().unwrap();
                match now {
                    Way::CommitLost if commit => {
                        *way.lock().unwrap() = Way::Open;
                        return;
                    }
                    Way::AnswerLost if commit => {
                        server.write_all(bytes).await.unwrap();
                        // The commit has taken place.
                        assert_ne!(server.read(&mut answered).await.unwrap(), 0);
                        *way.lock().unwrap() = Way::Closed;
                        return;
                    }
                    Way::Silent => {
                        // The server learns nothing of it, neither.
                        std::future::pending::<()>().await;
                    }
                    _ => server.write_all(bytes).await.unwrap(),
                }
            }
            count = server.read(&mut answered) => {
                let Ok(count @ 1..) = count else { return };
                if client.write_all(answered.get(..count).unwrap()).await.is_err() {
                    return;
                }
            }
        }
    }
}
