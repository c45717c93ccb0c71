//! The master key file: without the right one nothing starts, and no new one is created.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::harness::forge::encode;
use crate::harness::{Answer, Program, TestServer};

/// An installation with data, which is stopped.
struct Installation {
    server: TestServer,
    file: PathBuf,
    right: String,
    program: Program,
}

impl Installation {
    async fn stopped_installation() -> Self {
        let mut server = TestServer::start().await;
        server.sign_up("ada@example.test").await.expect_status(201);
        // The state file is written last.
        server.stop_cleanly().await;
        let file = server.database.master_key_file();
        let right = fs::read_to_string(&file).unwrap();
        let program = Program::new(&server.database);
        Self { server, file, right, program }
    }

    /// Replaces the key file's content by `bytes`.
    fn replace(&self, bytes: impl AsRef<[u8]>) {
        fs::write(&self.file, bytes).unwrap();
        fs::set_permissions(&self.file, Permissions::from_mode(0o600)).unwrap();
    }

    /// The start fails, names the file, and changes neither rows nor files.
    async fn assert_refuses(&self, case: &str) -> String {
        let (rows, files) = (self.server.database.dump().await, self.files());

        let said = self.program.refusal().await;

        assert!(said.contains("master.key") || said.contains("SIGNET_MASTER_KEY_FILE"), "{said}");
        assert!(!said.contains(self.right.trim()), "{case}: the output contains the key");
        assert_eq!(self.server.database.dump().await, rows, "{case}");
        assert_eq!(self.files(), files, "{case}");
        said
    }

    /// The start succeeds, with the published key set.
    async fn assert_starts(&self) {
        let known = self.server.database.column::<String>("SELECT kid FROM signing_key").await;
        let serving = self.program.serve().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let jwks = Answer::of(http.get(serving.url("/.well-known/jwks.json"))).await.json();
        let kids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|it| &it["kid"]).collect();
        assert_eq!(kids, known.iter().collect::<Vec<_>>());
        serving.end(Signal::TERM).await;
    }

    /// Names and contents in the directory of the key.
    fn files(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let entries = fs::read_dir(self.file.parent().unwrap()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).ok())).collect()
    }
}

fn random_key(byte: u8) -> String {
    encode([byte; 32])
}

/// KY-07, F14: an invalid key file prevents the start and is named.
#[tokio::test]
async fn invalid_master_key_file_prevents_the_start() {
    let installation = Installation::stopped_installation().await;
    let right = installation.right.trim();
    let nine = [right; 9].join("\n");

    for (case, content) in [
        ("empty", Vec::new()),
        ("white space", b"\n".to_vec()),
        ("truncated", right.as_bytes()[..20].to_vec()),
        ("one character short", right.as_bytes()[..42].to_vec()),
        ("one character long", format!("{right}A").into_bytes()),
        ("garbage", vec![0xff, 0xfe, 0, 1, 2]),
        ("a PEM file", b"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n".to_vec()),
        ("a second line that is none", format!("{right}\nx\n").into_bytes()),
        ("a first line that is none", format!("# key\n{right}\n").into_bytes()),
        ("nine keys", nine.into_bytes()),
    ] {
        installation.replace(content);
        installation.assert_refuses(case).await;
    }
    fs::remove_file(&installation.file).unwrap();
    fs::create_dir(&installation.file).unwrap();
    installation.assert_refuses("a directory").await;
    fs::remove_dir(&installation.file).unwrap();
    // Nothing will ever write to it.
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, &installation.file, FileType::Fifo, mode, 0).unwrap();
    let said = installation.program.refusal().await;
    assert!(said.contains("master.key is not a regular file"), "{said}");
    fs::remove_file(&installation.file).unwrap();
    symlink(Path::new("elsewhere"), &installation.file).unwrap();
    installation.assert_refuses("a link to nothing").await;
    fs::remove_file(&installation.file).unwrap();
    installation.replace(&installation.right);
    installation.assert_starts().await;
}

/// KY-07: a lost key is not replaced by a new one.
#[tokio::test]
async fn missing_master_key_file_prevents_the_start_and_is_not_recreated() {
    let installation = Installation::stopped_installation().await;

    fs::remove_file(&installation.file).unwrap();
    let said = installation.assert_refuses("missing").await;
    fs::remove_dir_all(installation.file.parent().unwrap()).unwrap();
    let without_folder = installation.program.refusal().await;

    for said in [said, without_folder] {
        assert!(said.contains("missing") && said.contains("backup"), "{said}");
    }
    assert!(!installation.file.parent().unwrap().exists());
}

/// KY-06: a file readable by others may have leaked.
#[tokio::test]
async fn master_key_file_readable_by_others_prevents_the_start() {
    let installation = Installation::stopped_installation().await;

    for mode in [0o644, 0o640, 0o604, 0o660, 0o606, 0o601] {
        fs::set_permissions(&installation.file, Permissions::from_mode(mode)).unwrap();
        let said = installation.assert_refuses("exposed").await;
        assert!(said.contains("chmod 600"), "{said}");
    }
    for mode in [0o400, 0o600] {
        fs::set_permissions(&installation.file, Permissions::from_mode(mode)).unwrap();
        installation.assert_starts().await;
    }
}

/// KY-06: the owner could replace the file, or make it readable, at any time.
#[tokio::test]
async fn master_key_file_of_another_user_prevents_the_start() {
    let installation = Installation::stopped_installation().await;
    if chown(&installation.file, Some(65_534), None).is_err() {
        return; // Only root can change the owner of a file.
    }

    let said = installation.assert_refuses("foreign").await;

    assert!(said.contains("belongs to another user"), "{said}");
    chown(&installation.file, Some(0), None).unwrap();
    installation.assert_starts().await;
}

/// F15: a wrong key is detected before the first write, including migrations.
#[tokio::test]
async fn wrong_master_key_prevents_the_start_before_any_write() {
    let installation = Installation::stopped_installation().await;

    installation.replace(random_key(7));
    let said = installation.assert_refuses("wrong").await;
    assert!(said.contains("SIGNET_MASTER_KEY_FILE") && said.contains("another"), "{said}");
    let output = installation.program.run(&["migrate", "down"]).await;
    assert!(output.status.success(), "{output:?}");
    installation.assert_refuses("wrong, with an older schema").await;

    installation.replace(&installation.right);
    installation.assert_starts().await;
}

/// Rotation of the master key: data encrypted with the old key opens while that key is in the file.
#[tokio::test]
async fn second_key_in_the_file_decrypts_existing_data() {
    let installation = Installation::stopped_installation().await;
    let right = installation.right.trim();

    for content in [
        format!("{}\n{right}\n", random_key(7)),
        format!("{right}\n{}\n", random_key(7)),
        format!("{}\n{}\n{right}", random_key(7), random_key(8)),
        format!("{right}\r\n"),
        right.to_owned(),
    ] {
        installation.replace(content);
        installation.assert_starts().await;
    }
}
