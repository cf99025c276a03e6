//! A small HTTP/1.1 server on this machine that can misbehave in every way a real one does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Counts from 0.
    pub number: usize,
    pub path: String,
    /// First byte of a `Range`.
    pub from: Option<usize>,
    pub if_range: Option<String>,
    pub authorization: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Close the connection after this many bytes of the body.
    pub cut: Option<usize>,
    /// Send nothing more after this many, and keep the connection.
    pub stall: Option<usize>,
    /// Before every 16 KiB of it.
    pub pause: Duration,
    /// Whether to send Content-Length.
    pub length: bool,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: body.into(),
            cut: None,
            stall: None,
            pause: Duration::ZERO,
            length: true,
        }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn cut(mut self, at: usize) -> Response {
        self.cut = Some(at);
        self
    }

    pub fn stall(mut self, at: usize) -> Response {
        self.stall = Some(at);
        self
    }

    pub fn slow(mut self) -> Response {
        self.pause = Duration::from_millis(5);
        self
    }

    /// `file` with entity tag `etag` to a request that may ask for a range: 206 where the tag still holds.
    pub fn file(request: &Request, file: &[u8], etag: &str) -> Response {
        let etag_header = format!("\"{etag}\"");
        match request.from {
            Some(from) if request.if_range.as_deref() == Some(&etag_header) => {
                if from >= file.len() {
                    return Response::new(416, "")
                        .header("Content-Range", format!("bytes */{}", file.len()));
                }
                Response::new(206, &file[from..])
                    .header(
                        "Content-Range",
                        format!("bytes {from}-{}/{}", file.len() - 1, file.len()),
                    )
                    .header("ETag", etag_header)
            }
            _ => Response::new(200, file).header("ETag", etag_header),
        }
    }
}

/// Serves until the test process ends.
pub struct Server {
    pub address: String,
    seen: Arc<Mutex<Vec<Request>>>,
    sent: Arc<Mutex<u64>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(Mutex::new(0));
        let answer = Arc::new(answer);
        let (log, count) = (Arc::clone(&seen), Arc::clone(&sent));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log, count) =
                    (Arc::clone(&answer), Arc::clone(&log), Arc::clone(&count));
                std::thread::spawn(move || {
                    // A client that hangs up is what some tests want.
                    let _ = serve(stream, answer.as_ref(), &log, &count);
                });
            }
        });
        Server {
            address,
            seen,
            sent,
        }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Body bytes handed to the network so far.
    pub fn sent(&self) -> u64 {
        *self.sent.lock().expect("no panic")
    }
}

fn serve(
    stream: TcpStream,
    answer: &(dyn Fn(&Request) -> Response + Send + Sync),
    log: &Mutex<Vec<Request>>,
    count: &Mutex<u64>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut request = Request {
        path: line.split(' ').nth(1).unwrap_or("").into(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                request.from = value
                    .strip_prefix("bytes=")
                    .and_then(|r| r.trim_end_matches('-').parse().ok());
            }
            "if-range" => request.if_range = Some(value.into()),
            "authorization" => request.authorization = Some(value.into()),
            _ => {}
        }
    }
    {
        let mut log = log.lock().expect("no panic");
        request.number = log.len();
        log.push(request.clone());
    }
    let response = answer(&request);
    let mut out = stream;
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", response.status);
    if response.length {
        head.push_str(&format!("Content-Length: {}\r\n", response.body.len()));
    }
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    out.write_all(head.as_bytes())?;
    let end = response.cut.or(response.stall);
    let end = end.unwrap_or(usize::MAX).min(response.body.len());
    for piece in response.body[..end].chunks(16 << 10) {
        std::thread::sleep(response.pause);
        out.write_all(piece)?;
        *count.lock().expect("no panic") += piece.len() as u64;
    }
    out.flush()?;
    if response.stall.is_some() {
        std::thread::sleep(Duration::from_secs(600));
    }
    Ok(())
}
