//! The database of the original application.

use crate::harness::{Imported, TestDatabase, TestServer};

/// The database of the original application, with its table of users.
pub struct Original {
    pub database: TestDatabase,
}

impl Original {
    pub async fn create() -> Self {
        Self::in_database(TestDatabase::create().await).await
    }

    /// A database that has this encoding, instead of UTF-8, on PostgreSQL.
    pub async fn with_encoding(encoding: &str) -> Self {
        Self::in_database(TestDatabase::create_with_encoding(encoding).await).await
    }

    async fn in_database(database: TestDatabase) -> Self {
        if !database.is_postgres() {
            std::fs::write(database.directory().join("signet.db"), "").unwrap();
        }
        let [id, time] = if database.is_postgres() {
            ["UUID", "TIMESTAMP WITHOUT TIME ZONE"]
        } else {
            ["CHAR(32)", "DATETIME"]
        };
        database
            .execute(&format!(
                "CREATE TABLE users (id {id} NOT NULL PRIMARY KEY, \
                 email VARCHAR(255) NOT NULL UNIQUE, hashed_password VARCHAR(255) NOT NULL, \
                 created_at {time}, last_login {time})"
            ))
            .await;
        Self { database }
    }

    /// Adds `count` users, numbered from `first`, each with the password `Password-N`, hashed with
    /// bcrypt at the lowest cost.
    pub async fn add_users(&self, first: u32, count: u32) {
        let row = |number: u32| {
            let hash = bcrypt::hash(password(number), 4).unwrap();
            format!(
                "('{number:032x}', 'User{number}@Example.test', '{hash}', \
                 '2026-01-14 10:00:00.123456', NULL)"
            )
        };
        let rows: Vec<String> = (first..first + count).map(row).collect();
        for rows in rows.chunks(200) {
            self.database.execute(&format!("INSERT INTO users VALUES {}", rows.join(", "))).await;
        }
    }

    pub async fn import(&self, server: &TestServer, arguments: &[&str]) -> Imported {
        server.import("fastapi", &[arguments, &[&self.database.url()]].concat()).await
    }

    /// Creates the table of audit events with these rows.
    pub async fn add_events(&self, events: &[EventRow<'_>]) {
        let [id, time] = if self.database.is_postgres() {
            ["UUID", "TIMESTAMP WITHOUT TIME ZONE"]
        } else {
            ["CHAR(32)", "DATETIME"]
        };
        self.database
            .execute(&format!(
                "CREATE TABLE auth_events (id {id} NOT NULL PRIMARY KEY, user_id {id}, \
                 event_type VARCHAR(50) NOT NULL, ip_address VARCHAR(45), user_agent TEXT, \
                 created_at {time})"
            ))
            .await;
        let row = |(id, user, kind, address, agent, at): &EventRow<'_>| {
            let user = user.map_or("NULL".to_owned(), |user| format!("'{user:032x}'"));
            let at = at.map_or("NULL".to_owned(), |at| format!("'{at}'"));
            format!("('{id:032x}', {user}, '{kind}', '{address}', '{agent}', {at})")
        };
        let rows: Vec<String> = events.iter().map(row).collect();
        for rows in rows.chunks(500) {
            self.database
                .execute(&format!("INSERT INTO auth_events VALUES {}", rows.join(", ")))
                .await;
        }
    }
}

/// An audit event: id, number of the user or `None`, type, IP address, user agent, time.
pub type EventRow<'a> = (u32, Option<u32>, &'a str, &'a str, &'a str, Option<&'a str>);

/// The password of a user.
pub fn password(number: u32) -> String {
    format!("Password-{number}")
}

/// The email address of a user, as Signet's accounts have it.
pub fn email(number: u32) -> String {
    format!("user{number}@example.test")
}
