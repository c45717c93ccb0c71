//! `signet backup` and `signet restore`. On PostgreSQL they print command lines of PostgreSQL's own
//! tools, which the tests then run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::harness::{PASSWORD, Program, TestDatabase, TestServer, Tokens, eventually};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

/// The error message of a command that failed.
fn failed(output: &Output) -> String {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
    message
}

fn backup_file(database: &TestDatabase) -> PathBuf {
    database.directory().join("backups/signet.backup")
}

/// Makes a backup as an operator does.
async fn back_up(database: &TestDatabase) -> PathBuf {
    let file = backup_file(database);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let output =
        Program::new(database).run(&["backup", "--overwrite", file.to_str().unwrap()]).await;
    if database.is_postgres() {
        assert!(failed(&output).contains("no backup was made"));
        let line = text(&output.stdout);
        succeeded(&Program::new(database).run_script(&line).await);
    } else {
        assert!(succeeded(&output).contains("master key is not in this backup"));
    }
    file
}

/// Restores a backup as an operator does, and returns what was printed.
async fn restore(database: &TestDatabase, file: &Path) -> String {
    let program = Program::new(database);
    let output = program.run(&["restore", "--replace", file.to_str().unwrap()]).await;
    if !database.is_postgres() {
        return succeeded(&output);
    }
    assert!(failed(&output).contains("nothing was restored"));
    database.execute("DROP SCHEMA public CASCADE").await;
    database.execute("CREATE SCHEMA public").await;
    let lines = text(&output.stdout);
    let (restore, restored) = lines.trim().split_once('\n').unwrap();
    succeeded(&program.run_script(restore).await);
    assert_eq!(restored, "signet restored");
    succeeded(&program.run(&["restored"]).await)
}

/// Everything below the directory of the database: names and contents.
fn all_files(database: &TestDatabase) -> Vec<(PathBuf, Vec<u8>)> {
    let mut folders = vec![database.directory().to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.clone(), fs::read(&path).unwrap_or_default()));
            }
        }
    }
    files.sort();
    files
}

/// A stopped server, the tokens of its one account, and a backup of its database.
async fn stopped_with_backup() -> (TestServer, Tokens, PathBuf) {
    let mut server = TestServer::start().await;
    let ada = server.sign_up("ada@example.test").await.tokens();
    let file = back_up(&server.database).await;
    server.stop_cleanly().await;
    (server, ada, file)
}

/// Signs up and logs in until `stop` is set. Returns the acknowledged addresses with their tokens.
async fn load(server: &TestServer, stop: &AtomicBool, name: &str) -> Vec<(String, Tokens)> {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let email = format!("{name}{}@example.test", acknowledged.len());
        let tokens = server.sign_up(&email).await.tokens();
        server.log_in(&email, PASSWORD).await.expect_status(200);
        acknowledged.push((email, tokens));
    }
    acknowledged
}

/// F27: every account that was acknowledged before the backup is in it. After the restore no
/// session is live, neither one of the backup nor a later one, and the status lists say so.
#[tokio::test]
async fn backup_under_load_has_every_account_and_revives_no_session() {
    let mut server = TestServer::start().await;
    let mut before = Vec::new();
    for number in 0..3 {
        let email = format!("before{number}@example.test");
        before.push((email.clone(), server.sign_up(&email).await.tokens()));
    }
    let ended = server.log_in(&before[0].0, PASSWORD).await.tokens();
    let stop = AtomicBool::new(false);
    let backing_up = async {
        let file = back_up(&server.database).await;
        stop.store(true, Ordering::SeqCst);
        file
    };
    let (file, one, other) =
        tokio::join!(backing_up, load(&server, &stop, "one"), load(&server, &stop, "other"));
    server.log_out(&ended.access_token).await.expect_status(200);
    let later = server.sign_up("later@example.test").await.tokens();
    server.stop_cleanly().await;

    let printed = restore(&server.database, &file).await;
    let server = server.restart().await;

    assert!(printed.contains("accounts that were deleted or disabled since"), "{printed}");
    for (email, _) in &before {
        server.log_in(email, PASSWORD).await.expect_status(200);
    }
    let during = one.iter().chain(&other);
    let sessions = before.iter().chain(during).map(|(_, tokens)| tokens);
    for tokens in sessions.chain([&ended, &later]) {
        server.refresh(&tokens.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
        server.me(&tokens.access_token).await.expect_status(401);
        server.wait_until_listed_as_ended(&tokens.access_token).await;
    }
    server.log_in("later@example.test", PASSWORD).await.expect_status(401);
    let new = server.log_in(&before[1].0, PASSWORD).await.tokens();
    assert!(!server.lists_as_ended(&new.access_token).await);
}

/// The printed commands work without the password, which no command line must contain.
#[tokio::test]
async fn postgres_commands_have_no_password() {
    let database = TestDatabase::create().await;
    let url = "postgres://ada:s3cret@db.invalid:5433/signet?password=s3cret&sslmode=require";
    let program = Program::new(&database).with("SIGNET_DATABASE_URL", url);

    for (command, tool) in [("backup", "pg_dump"), ("restore", "pg_restore")] {
        let output = program.run(&[command, "my file"]).await;

        let (line, message) = (text(&output.stdout), failed(&output));
        assert!(line.contains(tool) && line.contains("'my file'"), "{line}");
        let shown = "'postgres://ada@db.invalid:5433/signet?sslmode=require'";
        assert!(line.contains(shown), "{line}");
        assert!(!(line + &message).contains("s3cret"));
    }
    assert!(!database.directory().join("my file").exists());
}

#[tokio::test]
async fn backup_replaces_a_file_only_if_told_to() {
    let server = TestServer::start().await;
    let database = Arc::clone(&server.database);
    if database.is_postgres() {
        return;
    }
    let program = Program::new(&database);
    let folder = database.directory().join("backups");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("signet.backup");
    fs::write(&file, "precious").unwrap();
    symlink("/nowhere", folder.join("link")).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let live = database.directory().join("signet.db").display().to_string();

    for (arguments, expected) in [
        (vec!["backup".to_owned(), path("signet.backup")], "--overwrite"),
        (
            vec!["backup".to_owned(), "--overwrite".to_owned(), path("signet.backup")],
            "not a backup",
        ),
        (vec!["backup".to_owned(), "--overwrite".to_owned(), path("link")], "not a regular file"),
        (vec!["backup".to_owned(), "--overwrite".to_owned(), path("")], "not a regular file"),
        (vec!["backup".to_owned(), "--overwrite".to_owned(), live.clone()], "the database itself"),
        (
            vec!["backup".to_owned(), "--overwrite".to_owned(), format!("{live}-wal")],
            "the database itself",
        ),
        (vec!["backup".to_owned(), path("missing/file")], "cannot write the backup"),
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let message = failed(&program.run(&arguments).await);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    // A file that begins like a SQLite database may be replaced, even if it is not complete. It
    // stays unchanged if the new backup fails.
    let earlier = b"SQLite format 3\0 and more";
    fs::write(&file, earlier).unwrap();
    let script = format!(
        "ulimit -f 8; trap '' XFSZ; exec \"$0\" backup --overwrite {}",
        path("signet.backup")
    );
    let full = program.run_script(&script).await;
    assert!(!full.status.success(), "{full:?}");
    assert_eq!(fs::read(&file).unwrap(), earlier);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "no temporary file is left");

    let printed = succeeded(&program.run(&["backup", "--overwrite", &path("signet.backup")]).await);
    assert!(printed.contains("accounts: 0, sessions: 0"), "{printed}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    server.sign_up("ada@example.test").await.expect_status(201);
}

#[tokio::test]
async fn restore_refuses_a_database_in_use() {
    let database = TestDatabase::create().await;
    if database.is_postgres() {
        return;
    }
    let program = Program::new(&database);
    let serving = program.serve().await;
    let file = back_up(&database).await.display().to_string();

    let unasked = failed(&program.run(&["restore", &file]).await);
    let served = failed(&program.run(&["restore", "--replace", &file]).await);
    succeeded(&program.run(&["restore", "--verify", &file]).await);
    serving.stop_with(Signal::TERM).await;
    let own = database.directory().join("signet.db").display().to_string();
    let itself = failed(&program.run(&["restore", "--replace", &own]).await);
    let other = database.connect().await;
    sea_orm::ConnectionTrait::execute_unprepared(&other, "SELECT 1 FROM account").await.unwrap();
    let open = failed(&program.run(&["restore", "--replace", &file]).await);

    assert!(unasked.contains("--replace"), "{unasked}");
    assert!(served.contains("a server uses the database"), "{served}");
    assert!(itself.contains("the database itself"), "{itself}");
    assert!(open.contains("another process has the database"), "{open}");
    drop(other);
    let names: Vec<_> = all_files(&database).into_iter().map(|(path, _)| path).collect();
    assert!(!names.iter().any(|name| name.to_str().unwrap().contains("restor")), "{names:?}");
    program.serve().await.stop_with(Signal::TERM).await;
}

/// Writes an unusable backup beside the good one. Its name is its fault.
fn damage(good: &Path, name: &str) -> PathBuf {
    let bytes = fs::read(good).unwrap();
    let file = good.with_file_name(name);
    match name {
        "truncated" => fs::write(&file, &bytes[..bytes.len() / 2]).unwrap(),
        "text" => fs::write(&file, "a text, and longer than sixteen bytes").unwrap(),
        "dump" => fs::write(&file, b"PGDMP\x01\x0e and so on").unwrap(),
        "empty" => fs::write(&file, "").unwrap(),
        "folder" => fs::create_dir(&file).unwrap(),
        "dangling" => symlink("/nowhere/at/all", &file).unwrap(),
        _ => {}
    }
    file
}

/// F28: each fault has its own message, with `--verify` and in a restore.
#[tokio::test]
async fn unusable_backups_are_refused_and_lose_nothing() {
    let (server, _, good) = stopped_with_backup().await;
    let database = Arc::clone(&server.database);
    if database.is_postgres() {
        return;
    }
    let newer = good.with_file_name("newer");
    fs::copy(&good, &newer).unwrap();
    let foreign = good.with_file_name("foreign");
    run_sql(&newer, "INSERT INTO seaql_migrations VALUES ('m29991231_000001_future', 1)").await;
    run_sql(&foreign, "CREATE TABLE account (id INTEGER)").await;
    let program = Program::new(&database);
    let wrong_key = database.directory().join("keys/other.key");
    fs::write(&wrong_key, format!("{}\n", "A".repeat(43))).unwrap();
    fs::set_permissions(&wrong_key, fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = program.clone().with("SIGNET_MASTER_KEY_FILE", wrong_key.to_str().unwrap());
    let no_key = database.directory().join("keys/absent.key");
    let keyless = program.clone().with("SIGNET_MASTER_KEY_FILE", no_key.to_str().unwrap());
    for name in ["truncated", "text", "dump", "empty", "folder", "dangling"] {
        damage(&good, name);
    }
    let overwritten = good.with_file_name("overwritten");
    fs::copy(&good, &overwritten).unwrap();
    overwrite_page(&overwritten).await;
    let before = all_files(&database);

    for (program, name, expected) in [
        (&program, "truncated", "is damaged"),
        (&program, "overwritten", "is damaged"),
        (&program, "text", "is not a SQLite database"),
        (&program, "dump", "made by pg_dump"),
        (&program, "empty", "is not a SQLite database"),
        (&program, "folder", "is not a regular file"),
        (&program, "dangling", "cannot read the backup"),
        (&program, "absent", "cannot read the backup"),
        (&program, "newer", "m29991231_000001_future"),
        (&program, "foreign", "not a database of Signet"),
        (&wrong, "signet.backup", "sealed with another master key"),
        (&keyless, "signet.backup", "is missing"),
    ] {
        let file = good.with_file_name(name).display().to_string();
        for option in ["--verify", "--replace"] {
            let message = failed(&program.run(&["restore", option, &file]).await);
            assert!(message.contains(expected), "{name} {option}: {message}");
            // Messages name the backup, not the copy of it that the command checks.
            assert!(!message.contains("-restoring"), "{name} {option}: {message}");
        }
    }
    let mut after = all_files(&database);
    after.retain(|(path, _)| !path.ends_with("signet.db-lock"));
    let names = |files: &[(PathBuf, Vec<u8>)]| {
        files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&before), names(&after));
    assert!(before == after, "a file was changed");
    let server = server.restart().await;
    server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
}

/// Overwrites the first page of a table whose rows the command does not count, so that only the
/// check of all pages finds the fault.
async fn overwrite_page(file: &Path) {
    use sea_orm::{ConnectionTrait, Statement};
    let db = sea_orm::Database::connect(format!("sqlite:{}", file.display())).await.unwrap();
    let sql = "SELECT rootpage FROM sqlite_master WHERE name = 'auth_event'";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let page: u32 = row.unwrap().unwrap().try_get_by_index(0).unwrap();
    db.close().await.unwrap();
    let mut bytes = fs::read(file).unwrap();
    let start = 4096 * (usize::try_from(page).unwrap() - 1);
    bytes[start..start + 4096].fill(0x5a);
    fs::write(file, bytes).unwrap();
}

async fn run_sql(file: &Path, sql: &str) {
    use sea_orm::ConnectionTrait;
    let url = format!("sqlite:{}?mode=rwc", file.display());
    let db = sea_orm::Database::connect(url).await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn verify_prints_the_contents_and_writes_nothing() {
    let (server, _, file) = stopped_with_backup().await;
    let database = &server.database;
    if database.is_postgres() {
        return;
    }
    let link = file.with_file_name("latest");
    symlink(&file, &link).unwrap();
    let before = all_files(database);

    let printed = succeeded(
        &Program::new(database).run(&["restore", "--verify", link.to_str().unwrap()]).await,
    );

    let kids = database.column::<String>("SELECT kid FROM signing_key").await;
    assert!(printed.contains("accounts: 1, sessions: 1"), "{printed}");
    assert!(printed.contains(&format!("signing key: {}", kids[0])), "{printed}");
    assert!(printed.contains("Nothing was changed"), "{printed}");
    let without_log = |files: Vec<(PathBuf, Vec<u8>)>| {
        files
            .into_iter()
            .filter(|(path, _)| !path.to_str().unwrap().contains("signet.db-"))
            .collect::<Vec<_>>()
    };
    assert!(without_log(before) == without_log(all_files(database)), "a file was changed");
}

/// The old database is kept, and is refused when it is put back.
#[tokio::test]
async fn replaced_database_is_kept_under_another_name() {
    let (server, _, file) = stopped_with_backup().await;
    let mut server = server.restart().await;
    server.sign_up("later@example.test").await.expect_status(201);
    server.stop_cleanly().await;
    let database = Arc::clone(&server.database);
    if database.is_postgres() {
        return;
    }

    let printed = restore(&database, &file).await;

    let aside = printed.lines().find_map(|line| line.strip_prefix("the old database is now "));
    let aside = PathBuf::from(aside.unwrap());
    assert_eq!(aside.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(aside.to_str().unwrap().contains("signet.db-before-restore-20"), "{aside:?}");
    let mut server = server.restart().await;
    server.log_in("later@example.test", PASSWORD).await.expect_status(401);
    server.stop_cleanly().await;
    fs::rename(&aside, database.directory().join("signet.db")).unwrap();
    let refusal = Program::new(&database).startup_error().await;
    assert!(refusal.contains("signet restored"), "{refusal}");
    succeeded(&Program::new(&database).run(&["restored"]).await);
    let server = server.restart().await;
    server.log_in("later@example.test", PASSWORD).await.expect_status(200);
}

/// A database that cannot be opened is moved aside with its write-ahead log, which would otherwise
/// be applied to the restored one.
#[tokio::test]
async fn damaged_database_is_replaced() {
    let (server, _, file) = stopped_with_backup().await;
    let database = Arc::clone(&server.database);
    if database.is_postgres() {
        return;
    }
    let live = database.directory().join("signet.db");
    for (damaged, has_log) in [(b"not a database at all".to_vec(), true), (Vec::new(), false)] {
        fs::write(&live, &damaged).unwrap();
        if has_log {
            fs::write(live.with_file_name("signet.db-wal"), "an old log").unwrap();
        }

        let printed = restore(&database, &file).await;

        let aside = printed.lines().find_map(|line| line.strip_prefix("the old database is now "));
        let aside = aside.unwrap();
        if has_log {
            assert_eq!(fs::read(aside).unwrap(), damaged);
            assert_eq!(fs::read(format!("{aside}-wal")).unwrap(), b"an old log");
        }
        fs::remove_file(aside).unwrap();
        Program::new(&database).serve().await.stop_with(Signal::TERM).await;
    }
}

/// F29: if the database is lost and the state file is not, a start does not create a new, empty
/// database.
#[tokio::test]
async fn lost_database_is_not_replaced_by_an_empty_one() {
    let (server, ada, file) = stopped_with_backup().await;
    let database = Arc::clone(&server.database);
    let program = Program::new(&database);
    if database.is_postgres() {
        database.execute("DROP SCHEMA public CASCADE").await;
        database.execute("CREATE SCHEMA public").await;
    } else {
        fs::remove_file(database.directory().join("signet.db")).unwrap();
    }

    let refusal = program.startup_error().await;
    assert!(refusal.contains("the database is empty"), "{refusal}");
    assert!(refusal.contains("signet restore"), "{refusal}");
    assert!(refusal.contains("signet database create"), "{refusal}");
    restore(&database, &file).await;

    let server = server.restart().await;
    server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
    server.refresh(&ada.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
}

#[tokio::test]
async fn new_database_is_created_beside_another_one_only_by_command() {
    let (one, new) = (TestDatabase::create().await, TestDatabase::create().await);
    let shared = one.state_file().display().to_string();
    Program::new(&one).serve().await.stop_with(Signal::TERM).await;
    let program = Program::new(&new).with("SIGNET_STATE_FILE", &shared);
    assert!(program.startup_error().await.contains("the database is empty"));

    succeeded(&program.run(&["database", "create"]).await);
    let again = failed(&program.run(&["database", "create"]).await);

    assert!(again.contains("it has signing keys"), "{again}");
    let (_, printed) = program.serve().await.stop_with(Signal::TERM).await;
    assert!(!printed.contains("state file"), "{printed}");
    let (_, printed) = Program::new(&one).serve().await.stop_with(Signal::TERM).await;
    assert!(!printed.contains("state file"), "{printed}");
}

/// With `--keep-sessions`, sessions and keys are as in the backup, and the command warns of the
/// risk.
#[tokio::test]
async fn sessions_are_kept_if_told_to() {
    let (server, ada, file) = stopped_with_backup().await;
    let database = Arc::clone(&server.database);
    if database.is_postgres() {
        return;
    }
    let mut server = server.restart().await;
    server.log_out(&ada.access_token).await.expect_status(200);
    server.stop_cleanly().await;
    let keys = database.column::<String>("SELECT kid FROM signing_key").await;

    let file = file.display().to_string();
    let program = Program::new(&database);
    let printed =
        succeeded(&program.run(&["restore", "--replace", "--keep-sessions", &file]).await);

    assert!(printed.contains("WARNING") && printed.contains("signet restored"), "{printed}");
    let server = server.restart().await;
    server.refresh(&ada.refresh_token).await.expect_status(200);
    assert_eq!(database.column::<String>("SELECT kid FROM signing_key").await, keys);
    assert!(database.events().await.contains(&"database_restored".to_owned()));
}

#[tokio::test]
async fn backup_with_an_older_schema_is_migrated() {
    let (server, _, _) = stopped_with_backup().await;
    let database = Arc::clone(&server.database);
    if database.is_postgres() {
        return;
    }
    let program = Program::new(&database);
    succeeded(&program.run(&["migrate", "down", "--steps", "4"]).await);
    let file = back_up(&database).await;
    succeeded(&program.run(&["migrate", "up"]).await);

    let printed = restore(&database, &file).await;

    assert!(printed.contains("older schema: 4 migrations"), "{printed}");
    let server = server.restart().await;
    server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
}

/// A copy of a database in use, with its write-ahead log, is restored completely.
#[tokio::test]
async fn copied_file_with_its_log_is_restored() {
    let server = TestServer::start().await;
    let database = Arc::clone(&server.database);
    if database.is_postgres() {
        return;
    }
    server.sign_up("ada@example.test").await.expect_status(201);
    let live = database.directory().join("signet.db");
    let copy = database.directory().join("copy.db");
    for suffix in ["", "-wal"] {
        let name = |file: &Path| format!("{}{suffix}", file.display());
        fs::copy(name(&live), name(&copy)).unwrap();
    }
    let mut server = server;
    server.stop_cleanly().await;
    let program = Program::new(&database);

    let copy = copy.display().to_string();
    let refused = failed(&program.run(&["restore", "--verify", &copy]).await);
    assert!(refused.contains("write-ahead log"), "{refused}");
    restore(&database, Path::new(&copy)).await;

    let server = server.restart().await;
    server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
}

/// F28: a restore that is killed, at whatever moment, leaves the old or the new database, and can
/// be run again.
#[tokio::test]
async fn killed_restore_leaves_the_old_or_the_new_database() {
    let (server, _, file) = stopped_with_backup().await;
    let database = Arc::clone(&server.database);
    if database.is_postgres() {
        return;
    }
    let program = Program::new(&database);
    let file = file.display().to_string();
    let sessions = "SELECT count(*) FROM session WHERE ended_at IS NULL";
    for delay in (0..24).map(|step| 20 + step * 60) {
        let seconds = format!("{}.{:03}", delay / 1000, delay % 1000);
        let script = format!("timeout -s KILL {seconds} \"$0\" restore --replace {file}; true");
        program.run_script(&script).await;

        assert_eq!(database.count("account").await, 1, "after {delay} ms");
        assert!(database.column::<i64>(sessions).await[0] <= 1);
    }
    let printed = restore(&database, Path::new(&file)).await;
    assert!(printed.contains("the database is restored"), "{printed}");
    let names: Vec<_> = all_files(&database).into_iter().map(|(path, _)| path).collect();
    assert!(!names.iter().any(|name| name.to_str().unwrap().contains("-restoring")), "{names:?}");
    let server = server.restart().await;
    eventually("it is ready", async || server.get("/readyz").await.status == 200).await;
    server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
}
