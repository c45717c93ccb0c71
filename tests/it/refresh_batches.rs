//! Concurrent refreshes share statements and transactions, and do not affect each other.

use std::time::Duration;

use futures_util::future::{join, join_all, join3};
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::harness::{PASSWORD, TestServer, Tokens};

const ADA: &str = "ada@example.test";

/// More than a batch takes at once, so that several batches form.
const SESSIONS: usize = 80;

async fn server_with_sessions(number: usize) -> (TestServer, Vec<Tokens>) {
    let server = TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await;
    let mut sessions = vec![server.sign_up(ADA).await.tokens()];
    while sessions.len() < number {
        sessions.push(server.log_in(ADA, PASSWORD).await.tokens());
    }
    (server, sessions)
}

async fn refresh_all(server: &TestServer, sessions: &[Tokens]) -> Vec<u16> {
    let refreshes = sessions.iter().map(|tokens| server.refresh(&tokens.refresh_token));
    join_all(refreshes).await.iter().map(|answer| answer.status).collect()
}

const REFRESHED: &str = "auth_event WHERE type = 'token_refreshed' AND reason IS NULL";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_refreshes_share_transactions() {
    let (server, sessions) = server_with_sessions(SESSIONS).await;
    server.database.delay_before_inserts_into("auth_event").await;

    let statuses = refresh_all(&server, &sessions).await;

    assert_eq!(statuses, vec![200; SESSIONS]);
    assert_eq!(server.database.count(REFRESHED).await, 80);
    let sql = "SELECT count(*) FROM session WHERE generation = 1 AND rotated_at IS NOT NULL";
    assert_eq!(server.database.column::<i64>(sql).await, [80]);
    let sql = "SELECT count(DISTINCT session_id) FROM auth_event WHERE type = 'token_refreshed'";
    assert_eq!(server.database.column::<i64>(sql).await, [80]);
    if server.database.is_postgres() {
        let sql =
            "SELECT count(DISTINCT xmin::text) FROM auth_event WHERE type = 'token_refreshed'";
        let transactions = server.database.column::<i64>(sql).await[0];
        assert!(transactions < 40, "{transactions} transactions");
    }
}

/// The audit events and rows of a batch are like those of a single refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batched_refresh_is_recorded_like_any_other() {
    let (server, sessions) = server_with_sessions(1).await;
    let client = server.new_client_address();

    let answer = server.refresh_from(&client, &sessions[0].refresh_token).await;

    answer.expect_status(200);
    let columns = "outcome || ' ' || client_id || ' ' || address || ' ' \
                   || coalesce(user_agent, 'none') || ' ' || coalesce(forwarded, 'none')";
    let events = format!("SELECT {columns} FROM {REFRESHED} AND request_id IS NOT NULL");
    let expected = format!("success signet {client} none {client}");
    assert_eq!(server.database.column::<String>(&events).await, [expected]);
    let row = "SELECT address || ' ' || coalesce(user_agent, 'none') FROM session";
    assert_eq!(server.database.column::<String>(row).await, [format!("{client} none")]);
}

/// A reused token ends its own session; the other refreshes of the batch succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reused_token_does_not_affect_the_rest_of_its_batch() {
    let (server, mut sessions) = server_with_sessions(12).await;
    let stolen = sessions[3].clone();
    for _ in 0..2 {
        sessions[3] = server.refresh(&sessions[3].refresh_token).await.tokens();
    }
    let all: Vec<_> = sessions.iter().cloned().chain([stolen]).collect();

    let statuses = refresh_all(&server, &all).await;

    assert_eq!(statuses[12], 401, "the reused token");
    for (number, status) in statuses.iter().enumerate().take(12) {
        // The session of the reused token may have been refreshed before its end.
        assert!(*status == 200 || number == 3, "session {number}: {status}");
    }
    assert_eq!(server.database.count("session WHERE end_reason = 'token_reuse'").await, 1);
}

/// Concurrent uses of one token cause one rotation, and all get its successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_uses_of_one_token_get_one_successor() {
    let (server, sessions) = server_with_sessions(1).await;
    let token = &sessions[0].refresh_token;

    let answers = join_all((0..8).map(|_| server.refresh(token))).await;

    let mut successors: Vec<_> =
        answers.iter().map(|answer| answer.tokens().refresh_token).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert_eq!(server.database.count(REFRESHED).await, 1);
    assert_eq!(server.database.count("session WHERE generation = 1").await, 1);
}

/// A refresh whose session is locked by another transaction waits. The others of its batch do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn locked_session_does_not_delay_the_rest_of_its_batch() {
    let (server, sessions) = server_with_sessions(10).await;
    if !server.database.is_postgres() {
        return;
    }
    let locked = TestServer::session_id(&sessions[4].access_token);
    let db = server.database.connect().await;
    let txn = db.begin().await.unwrap();
    let lock = format!("SELECT 1 FROM session WHERE id = '{locked}' FOR UPDATE");
    txn.execute_unprepared(&lock).await.unwrap();
    let (waiting, others) = (sessions[4].clone(), [&sessions[..4], &sessions[5..]].concat());
    let release = async {
        let statuses = refresh_all(&server, &others).await;
        // The others have their responses while the lock is held.
        txn.commit().await.unwrap();
        statuses
    };

    let (statuses, answer) = join(release, server.refresh(&waiting.refresh_token)).await;

    assert_eq!(statuses, vec![200; 9]);
    answer.expect_status(200);
}

/// Two instances refresh the same sessions: each token is rotated once, by either of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_of_two_instances_rotate_each_token_once() {
    let (one, sessions) = server_with_sessions(40).await;
    let other = one.another_instance().await;

    let reversed: Vec<_> = sessions.iter().rev().cloned().collect();
    let (here, there) = join(refresh_all(&one, &sessions), refresh_all(&other, &reversed)).await;

    assert_eq!([here, there].concat(), vec![200; 80], "the second use is a retry");
    assert_eq!(one.database.count(REFRESHED).await, 40);
    assert_eq!(one.database.count("session WHERE generation = 1").await, 40);
}

/// Decision 18: a batch leaves out the refreshes of clients that have disconnected, and they are
/// not performed later. The other refreshes of the batch are performed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refreshes_of_disconnected_clients_are_left_out_of_their_batch() {
    let (server, sessions) = server_with_sessions(20).await;
    let db = server.database.connect().await;
    let txn = db.begin().await.unwrap();
    // SQLite locks the whole file for any write.
    let lock = if server.database.is_postgres() {
        "LOCK TABLE auth_event IN EXCLUSIVE MODE"
    } else {
        "DELETE FROM auth_event WHERE false"
    };
    txn.execute_unprepared(lock).await.unwrap();
    let (disconnecting, waiting) = sessions.split_at(10);
    let disconnect = join_all(disconnecting.iter().map(|tokens| async {
        let refresh = server.refresh(&tokens.refresh_token);
        tokio::time::timeout(Duration::from_millis(200), refresh).await.is_err()
    }));
    let release = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        txn.commit().await.unwrap();
    };

    let (disconnected, statuses, ()) =
        join3(disconnect, refresh_all(&server, waiting), release).await;

    assert_eq!(disconnected, vec![true; 10]);
    assert_eq!(statuses, vec![200; 10]);
    assert_eq!(server.database.count("session WHERE generation = 1").await, 10);
    assert_eq!(server.database.count(REFRESHED).await, 10);
    for tokens in disconnecting {
        server.refresh(&tokens.refresh_token).await.expect_status(200);
    }
}

impl TestServer {
    /// Runs a statement before each event of these sessions is inserted: PL/pgSQL on PostgreSQL.
    async fn before_events_of(&self, sessions: &[Tokens], statement: &str) {
        let is_postgres = self.database.is_postgres();
        let ids = sessions.iter().map(|it| Self::session_id(&it.access_token)).map(|id| {
            if is_postgres { format!("'{id}'") } else { format!("x'{}'", id.replace('-', "")) }
        });
        let ids = ids.collect::<Vec<_>>().join(", ");
        if !is_postgres {
            let sql = format!(
                "CREATE TRIGGER before_event BEFORE INSERT ON auth_event \
                 WHEN NEW.session_id IN ({ids}) BEGIN {statement}; END"
            );
            return self.database.execute(&sql).await;
        }
        let sql = format!(
            "CREATE FUNCTION before_event() RETURNS trigger LANGUAGE plpgsql \
             AS $$ BEGIN {statement}; RETURN NEW; END $$; \
             CREATE TRIGGER before_event BEFORE INSERT ON auth_event FOR EACH ROW \
             WHEN (NEW.session_id IN ({ids})) EXECUTE FUNCTION before_event()"
        );
        self.database.execute(&sql).await;
    }
}

/// Slow batches may occupy all slots. Later refreshes do not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slow_batches_do_not_delay_later_ones() {
    let (server, sessions) = server_with_sessions(12).await;
    if !server.database.is_postgres() {
        return;
    }
    let (slow, others) = sessions.split_at(2);
    server.database.execute("CREATE TABLE released (at bigint)").await;
    let until_released = "WHILE NOT EXISTS (SELECT 1 FROM released) LOOP \
                          PERFORM pg_sleep(0.02); END LOOP";
    server.before_events_of(slow, until_released).await;
    let others = async {
        server.database.wait_for_connections(1, "wait_event = 'PgSleep'").await;
        let statuses = refresh_all(&server, others).await;
        server.database.execute("INSERT INTO released VALUES (1)").await;
        statuses
    };

    let (slow, others) = join(refresh_all(&server, slow), others).await;

    assert_eq!(others, vec![200; 10], "the later refreshes waited for the slow ones");
    assert_eq!(slow, vec![200; 2]);
}

/// If one refresh makes a batch fail, each of the others runs in a separate transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refreshes_of_a_failed_batch_are_tried_alone() {
    let (server, sessions) = server_with_sessions(20).await;
    let refuse = if server.database.is_postgres() {
        "RAISE EXCEPTION 'refused by the test'"
    } else {
        "SELECT RAISE(ABORT, 'refused by the test')"
    };
    server.before_events_of(&sessions[7..8], refuse).await;

    let statuses = refresh_all(&server, &sessions).await;

    let expected: Vec<_> = (0..20).map(|number| if number == 7 { 503 } else { 200 }).collect();
    assert_eq!(statuses, expected);
    assert_eq!(server.database.count("session WHERE generation = 1").await, 19);
    assert_eq!(server.database.count(REFRESHED).await, 19);
}
