//! An SMTP server that receives mails, and fails in the ways that a test chooses.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A mail that the server received.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The address in `RCPT TO`.
    pub to: String,
    /// The message as transmitted.
    pub raw: String,
}

/// What the server does with the mails to some addresses; see [`SmtpServer::set_behaviour`].
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Replies to `RCPT TO` with this line.
    Refuse(&'static str),
    /// Never replies to `RCPT TO`.
    Stall,
    /// Receives the mail, and closes the connection without a reply.
    CutOffAfterData,
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    behaviours: Vec<(String, Behaviour)>,
}

/// A running server without TLS. It stops when it is dropped.
pub struct SmtpServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl SmtpServer {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), Duration::ZERO).await
    }

    /// A server on this IP address and port, which waits for `delay` before it confirms each mail.
    pub async fn start_at(address: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(serve(listener, shared, delay));
        Self { address, state, serving }
    }

    /// The value for `SIGNET_MAIL`.
    pub fn url(&self) -> String {
        format!("smtp://{}?tls=off", self.address)
    }

    /// Chooses what happens with mails to addresses that contain `part`.
    pub fn set_behaviour(&self, part: &str, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviours.push((part.to_owned(), behaviour));
    }

    /// Accepts all mails from now on.
    pub fn accept_all(&self) {
        self.state.lock().unwrap().behaviours.clear();
    }

    /// All mails received so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.state.lock().unwrap().mails.clone()
    }

    /// The mails to this address.
    pub fn mails_to(&self, to: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to == to).collect()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, delay: Duration) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, Arc::clone(&state), delay));
    }
}

async fn converse(
    stream: TcpStream,
    state: Arc<Mutex<State>>,
    delay: Duration,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut to = String::new();
    stream.write_all(b"220 test ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let reply = match line.get(..4).unwrap_or_default().to_uppercase().as_str() {
            "EHLO" => "250-test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                match behaviour_for(&state, &to) {
                    Some(Behaviour::Refuse(reply)) => &format!("{reply}\r\n"),
                    Some(Behaviour::Stall) => {
                        tokio::time::sleep(Duration::from_mins(10)).await;
                        return Ok(());
                    }
                    _ => "250 ok\r\n",
                }
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let raw = read_message(&mut stream).await?;
                tokio::time::sleep(delay).await;
                state.lock().unwrap().mails.push(Mail { to: to.clone(), raw });
                if matches!(behaviour_for(&state, &to), Some(Behaviour::CutOffAfterData)) {
                    return Ok(());
                }
                "250 accepted\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

/// Reads a message up to the line with a dot.
async fn read_message(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut raw = String::new();
    while !raw.ends_with("\r\n.\r\n") {
        if stream.read_line(&mut raw).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(raw)
}

fn behaviour_for(state: &Mutex<State>, to: &str) -> Option<Behaviour> {
    let state = state.lock().unwrap();
    state.behaviours.iter().find(|(part, _)| to.contains(part)).map(|(_, it)| it.clone())
}

impl Mail {
    /// The value of a header field of one line.
    pub fn header(&self, name: &str) -> String {
        let prefix = format!("{name}: ");
        let head = self.raw.split("\r\n\r\n").next().unwrap();
        let line = head.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.raw)).to_owned()
    }

    /// The text part, decoded.
    pub fn text(&self) -> String {
        self.part("text/plain")
    }

    /// The HTML part, decoded.
    pub fn html(&self) -> String {
        self.part("text/html")
    }

    fn part(&self, content_type: &str) -> String {
        let part = self.raw.split(&format!("Content-Type: {content_type}")).nth(1).unwrap();
        let (head, body) = part.split_once("\r\n\r\n").unwrap();
        let body = body.split("\r\n--").next().unwrap();
        if head.contains("quoted-printable") { unquoted(body) } else { body.replace("\r\n", "\n") }
    }
}

/// Decodes `quoted-printable` (RFC 2045 §6.7).
fn unquoted(text: &str) -> String {
    let mut bytes = Vec::new();
    let text = text.replace("=\r\n", "").replace("\r\n", "\n");
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'=' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
