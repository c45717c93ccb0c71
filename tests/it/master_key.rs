//! The master key file: without the right key, the server does not start and creates no new key.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::harness::forge::encode;
use crate::harness::{Answer, Program, TestServer};

/// A stopped installation with data.
struct Installation {
    server: TestServer,
    file: PathBuf,
    correct_key: String,
    program: Program,
}

impl Installation {
    async fn create_and_stop() -> Self {
        let mut server = TestServer::start().await;
        server.sign_up("ada@example.test").await.expect_status(201);
        // The state file is written last.
        server.stop_cleanly().await;
        let file = server.database.master_key_file();
        let correct_key = fs::read_to_string(&file).unwrap();
        let program = Program::new(&server.database);
        Self { server, file, correct_key, program }
    }

    /// Replaces the content of the key file.
    fn replace(&self, bytes: impl AsRef<[u8]>) {
        fs::write(&self.file, bytes).unwrap();
        fs::set_permissions(&self.file, Permissions::from_mode(0o600)).unwrap();
    }

    /// Asserts that the start fails, names the key file, and changes neither rows nor files.
    async fn assert_start_fails(&self, case: &str) -> String {
        let (rows, files) = (self.server.database.dump().await, self.files());

        let message = self.program.startup_error().await;

        assert!(
            message.contains("master.key") || message.contains("SIGNET_MASTER_KEY_FILE"),
            "{message}"
        );
        assert!(!message.contains(self.correct_key.trim()), "{case}: the output contains the key");
        assert_eq!(self.server.database.dump().await, rows, "{case}");
        assert_eq!(self.files(), files, "{case}");
        message
    }

    /// Asserts that the start succeeds, and that the published key set is unchanged.
    async fn assert_starts(&self) {
        let known = self.server.database.column::<String>("SELECT kid FROM signing_key").await;
        let serving = self.program.serve().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let jwks = Answer::of(http.get(serving.url("/.well-known/jwks.json"))).await.json();
        let kids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|it| &it["kid"]).collect();
        assert_eq!(kids, known.iter().collect::<Vec<_>>());
        serving.stop_with(Signal::TERM).await;
    }

    /// The names and contents of all files in the directory of the key.
    fn files(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let entries = fs::read_dir(self.file.parent().unwrap()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).ok())).collect()
    }
}

fn other_key(byte: u8) -> String {
    encode([byte; 32])
}

/// KY-07, F14: an invalid key file prevents the start, and the error names the file.
#[tokio::test]
async fn invalid_master_key_file_prevents_the_start() {
    let installation = Installation::create_and_stop().await;
    let correct_key = installation.correct_key.trim();
    let nine = [correct_key; 9].join("\n");

    for (case, content) in [
        ("empty", Vec::new()),
        ("white space", b"\n".to_vec()),
        ("truncated", correct_key.as_bytes()[..20].to_vec()),
        ("one character short", correct_key.as_bytes()[..42].to_vec()),
        ("one character long", format!("{correct_key}A").into_bytes()),
        ("garbage", vec![0xff, 0xfe, 0, 1, 2]),
        ("a PEM file", b"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n".to_vec()),
        ("a second line that is not a key", format!("{correct_key}\nx\n").into_bytes()),
        ("a first line that is not a key", format!("# key\n{correct_key}\n").into_bytes()),
        ("nine keys", nine.into_bytes()),
    ] {
        installation.replace(content);
        installation.assert_start_fails(case).await;
    }
    fs::remove_file(&installation.file).unwrap();
    fs::create_dir(&installation.file).unwrap();
    installation.assert_start_fails("a directory").await;
    fs::remove_dir(&installation.file).unwrap();
    // A named pipe that has no writer.
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, &installation.file, FileType::Fifo, mode, 0).unwrap();
    let message = installation.program.startup_error().await;
    assert!(message.contains("master.key is not a regular file"), "{message}");
    fs::remove_file(&installation.file).unwrap();
    symlink(Path::new("elsewhere"), &installation.file).unwrap();
    installation.assert_start_fails("a link to nothing").await;
    fs::remove_file(&installation.file).unwrap();
    installation.replace(&installation.correct_key);
    installation.assert_starts().await;
}

/// KY-07: a lost key is not replaced by a new one.
#[tokio::test]
async fn missing_master_key_file_prevents_the_start_and_is_not_recreated() {
    let installation = Installation::create_and_stop().await;

    fs::remove_file(&installation.file).unwrap();
    let message = installation.assert_start_fails("missing").await;
    fs::remove_dir_all(installation.file.parent().unwrap()).unwrap();
    let without_folder = installation.program.startup_error().await;

    for message in [message, without_folder] {
        assert!(message.contains("missing") && message.contains("backup"), "{message}");
    }
    assert!(!installation.file.parent().unwrap().exists());
}

/// KY-06: a key that other users can read may have leaked.
#[tokio::test]
async fn master_key_file_readable_by_others_prevents_the_start() {
    let installation = Installation::create_and_stop().await;

    for mode in [0o644, 0o640, 0o604, 0o660, 0o606, 0o601] {
        fs::set_permissions(&installation.file, Permissions::from_mode(mode)).unwrap();
        let message = installation.assert_start_fails("exposed").await;
        assert!(message.contains("chmod 600"), "{message}");
    }
    for mode in [0o400, 0o600] {
        fs::set_permissions(&installation.file, Permissions::from_mode(mode)).unwrap();
        installation.assert_starts().await;
    }
}

/// KY-06: the other user could replace the file, or make it readable, at any time.
#[tokio::test]
async fn master_key_file_of_another_user_prevents_the_start() {
    let installation = Installation::create_and_stop().await;
    if chown(&installation.file, Some(65_534), None).is_err() {
        return; // Only root can change the owner of a file.
    }

    let message = installation.assert_start_fails("foreign").await;

    assert!(message.contains("belongs to another user"), "{message}");
    chown(&installation.file, Some(0), None).unwrap();
    installation.assert_starts().await;
}

/// F15: a wrong key is detected before the first write, including migrations.
#[tokio::test]
async fn wrong_master_key_prevents_the_start_before_any_write() {
    let installation = Installation::create_and_stop().await;

    installation.replace(other_key(7));
    let message = installation.assert_start_fails("wrong").await;
    assert!(message.contains("SIGNET_MASTER_KEY_FILE") && message.contains("another"), "{message}");
    let output = installation.program.run(&["migrate", "down"]).await;
    assert!(output.status.success(), "{output:?}");
    installation.assert_start_fails("wrong, with an older schema").await;

    installation.replace(&installation.correct_key);
    installation.assert_starts().await;
}

/// Rotation of the master key: as long as the old key is in the file, data that is encrypted with
/// it can be decrypted.
#[tokio::test]
async fn second_key_in_the_file_decrypts_existing_data() {
    let installation = Installation::create_and_stop().await;
    let correct_key = installation.correct_key.trim();

    for content in [
        format!("{}\n{correct_key}\n", other_key(7)),
        format!("{correct_key}\n{}\n", other_key(7)),
        format!("{}\n{}\n{correct_key}", other_key(7), other_key(8)),
        format!("{correct_key}\r\n"),
        correct_key.to_owned(),
    ] {
        installation.replace(content);
        installation.assert_starts().await;
    }
}
