//! Import of accounts: the formats of other systems, and their password hashes.

use serde_json::json;

use crate::harness::{Imported, TestServer};

const PASSWORD: &str = "Correct-Horse7-Battery";
const CURRENT_PREFIX: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// Hashes of [`PASSWORD`] that other libraries computed at a low cost, each after its hash class.
const HASHES: [(&str, &str); 18] = [
    // passlib 1.7.4
    ("bcrypt cost=4", "$2b$04$vFmJhQ79wYCLbH.Cg9X52eZ06ddKBiU9lj8xk1kXDXzB8nCEw48xG"),
    (
        "pbkdf2-sha256 i=1000 blocks=1",
        "$pbkdf2-sha256$1000$NAaAEKJUKoXwfo9RKsX4Hw$IldpMvaEoOL.QzgB13Z4GyzILOJwcrnM.KZFuzuY9wU",
    ),
    (
        "pbkdf2-sha512 i=1000 blocks=1",
        "$pbkdf2-sha512$1000$V4rxnpMy5tx7D4HwvpdS6g$tTzuHmbmkvZ2BuFiJakE89CoAE51cGXHfmfvE1eJfOzR5Z..AwXIQsM3odp92TjZ3kgDm06QBIkfmDwctwzajA",
    ),
    (
        "pbkdf2-sha1 i=1000 blocks=1",
        "$pbkdf2$1000$0loLYQxBCCHE2BvDmBNC6A$lTSAos05OrK0Zt.f4njbBrcyTR0",
    ),
    (
        "scrypt ln=4 r=8 p=1",
        "$scrypt$ln=4,r=8,p=1$NIYQgpBSitHa+997r/UeAw$7XVjoYh1I3Hs05SdSWR7egb3UAC8WuY/c1rJDEBEbME",
    ),
    (
        "argon2id v=19 m=64 t=1 p=4",
        "$argon2id$v=19$m=64,t=1,p=4$UYqxtvZ+D8GYE0IIAWBMKQ$QvPeg28oA3H8YuPprHWVwsTFAWT/YekKo6v5vSLKpnY",
    ),
    (
        "bcrypt cost=4",
        "$bcrypt-sha256$v=2,t=2b,r=4$rTf.63kXigJCrJLSRHyU7e$pGVeq4WudAXJblaAaVzJkHkJswULgq.",
    ),
    ("bcrypt cost=4", "$bcrypt-sha256$2b,4$Uh/j/yF/x9XdJkUffR9pVu$Q0XzoCW/ZR4VYKRoP.9.DfcXCRf2pDy"),
    ("bcrypt cost=4", "$bcrypt-sha256$2a,4$/.PrOG/l5SzNDyKSGa/s9u$LQjpQwivZzFlu5ZKlEw5F/hcdzRr.E6"),
    // Django 5.2.19
    (
        "pbkdf2-sha256 i=1000 blocks=1",
        "pbkdf2_sha256$1000$qaJp9W6WcIPMrjgHHnfTpf$G9DfMrfl+XcswpBL3cy0Ed310FL5jQYiXoA8nzwWP+c=",
    ),
    (
        "pbkdf2-sha1 i=1000 blocks=1",
        "pbkdf2_sha1$1000$CN2XfAWswxJfmBTuF1uUvt$lNarTZxbMzaEi2lyZ7Bz6rRH4Pk=",
    ),
    (
        "scrypt ln=4 r=8 p=5",
        "scrypt$16$ZBtE7XjTxHbU3mE4UjAGIi$8$5$tEH5lAc/5DPRk0KNnbG6/VX2BG6hf+iG9VUEKGE6fWEFB/dF7jAGXvduDIMSGe+zOsKCygpCwIo+n0c2BaCoWA==",
    ),
    (
        "argon2id v=19 m=64 t=1 p=1",
        "argon2$argon2id$v=19$m=64,t=1,p=1$VzNoMjBEN2lBRmpzaFBZN2FxckQ0aA$D0lrHZ6wWI+UI3ABO5Lt9PBYrWPkZOD+32wAPkovrbM",
    ),
    ("bcrypt cost=4", "bcrypt$$2b$04$WMC8o0ongD3jEb34VYK8AuKYsPg8m71xa7.Yk09yLI9.8xC096F9u"),
    ("bcrypt cost=4", "bcrypt_sha256$$2b$04$/eE4FJY0Fum.ivnnP4KfCedzHOQs2YYAySBgIdaRZdVqYvImTk5EC"),
    // hashlib, with the parameters and lengths of Keycloak
    (
        "pbkdf2-sha256 i=1000 blocks=2",
        "$pbkdf2-sha256$i=1000$kBUejdLNkwbBjzX6jZTAsA$qlHWcvw+eu1XxsOZqrzVQCRRmp/yMPfebh0xzd9nctGvWs1ldNuZ1dykHghDoLw4V5LX7gOHbtCBa2wXdGcRmQ",
    ),
    (
        "pbkdf2-sha512 i=1000 blocks=1",
        "$pbkdf2-sha512$i=1000$kBUejdLNkwbBjzX6jZTAsA$wV9v7LICjkAQMWZZvIzNghNVDocAA55k36XfX8bhN9PgkAg4ECoEErpdBwtjnt8grSrB8RgoPyLHI2c6B2WaCw",
    ),
    (
        "pbkdf2-sha1 i=1000 blocks=4",
        "$pbkdf2-sha1$i=1000$kBUejdLNkwbBjzX6jZTAsA$xVNEE1DuMnIsD97y6azHwbiRC5YoFYPqVbyOEAHa+eFla8QBo87Mh9MQXE/DMrGuNF4gLZqyg5RFLdS8GSpsZg",
    ),
];

async fn server() -> TestServer {
    TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await
}

#[track_caller]
fn expect_created(imported: &Imported, number: u64) {
    assert_eq!(imported.status, 0, "{}{}", imported.stdout, imported.stderr);
    assert_eq!(imported.counts(), [number, 0, 0, 0, 0, 0], "{}", imported.stderr);
}

/// Logs in, and asserts that the login replaced the hash.
async fn expect_login(server: &TestServer, email: &str, password: &str) {
    server.log_in(email, &format!("{password}x")).await.expect_error(401, "AUTH_FAILED");
    server.log_in(email, password).await.expect_status(200);
    let sql = format!("SELECT password_hash FROM account WHERE email = '{email}'");
    let hash = server.database.column::<String>(&sql).await.remove(0);
    assert!(hash.starts_with(CURRENT_PREFIX), "{email}: {hash}");
    server.log_in(email, password).await.expect_status(200);
}

/// IM-01, IM-03: hashes of other libraries are verified at login, and replaced.
#[tokio::test]
async fn login_verifies_and_replaces_the_hashes_of_other_libraries() {
    let server = server().await;
    let record = |(number, (_, hash)): (usize, &(&str, &str))| {
        let email = format!("a{number}@example.test");
        json!({ "id": format!("{number}"), "email": email, "password_hash": hash }).to_string()
    };
    let lines: Vec<String> = HASHES.iter().enumerate().map(record).collect();

    let path = server.file("accounts.ndjson", lines.join("\n"));
    let dry = server.import("ndjson", &["--dry-run", path.to_str().unwrap()]).await;
    let imported = server.import("ndjson", &[path.to_str().unwrap()]).await;

    expect_created(&dry, 18);
    expect_created(&imported, 18);
    for (class, _) in HASHES {
        let expected = HASHES.iter().filter(|(other, _)| *other == class).count();
        assert_eq!(dry.count(class), u64::try_from(expected).unwrap(), "{class}: {}", dry.stdout);
        assert_eq!(imported.count(class), u64::try_from(expected).unwrap(), "{class}");
    }
    assert!(dry.stdout.contains("ms of computing time at login"), "{}", dry.stdout);
    for number in 0..HASHES.len() {
        expect_login(&server, &format!("a{number}@example.test"), PASSWORD).await;
    }
}

/// IM-01: bcrypt reads only 72 bytes of a password. `bcrypt-sha256` passes a digest of the whole
/// password to bcrypt, so all bytes of a longer password count.
#[tokio::test]
async fn bcrypt_sha256_compares_more_than_72_bytes() {
    let server = server().await;
    // passlib 1.7.4
    let hash = "$bcrypt-sha256$v=2,t=2b,r=4$mSeaDW7E5O35ldpSOokoR.$zE3JyccK1As6GOGS4f3fXxPIYsXUFyu";
    let record = json!({ "id": "1", "email": "ada@example.test", "password_hash": hash });

    let imported = server.import_text("ndjson", "accounts.ndjson", &record.to_string()).await;

    expect_created(&imported, 1);
    let password = format!("A1{}", "x".repeat(80));
    server.log_in("ada@example.test", &password[..72]).await.expect_error(401, "AUTH_FAILED");
    expect_login(&server, "ada@example.test", &password).await;
}

/// IM-02: a hash that costs too much, is malformed or is of an unknown kind is reported, and not
/// stored.
#[tokio::test]
async fn hash_that_cannot_be_verified_is_reported_and_not_stored() {
    let server = server().await;
    let hashes = [
        "$2b$31$vFmJhQ79wYCLbH.Cg9X52eZ06ddKBiU9lj8xk1kXDXzB8nCEw48xG",
        "pbkdf2_sha256$4000000000$salt$G9DfMrfl+XcswpBL3cy0Ed310FL5jQYiXoA8nzwWP+c=",
        "$scrypt$ln=30,r=8,p=1$NIYQgpBSitHa+997r/UeAw$7XVjoYh1I3Hs05SdSWR7egb3UAC8WuY/c1rJDEBEbME",
        "$scrypt$ln=255,r=4294967295,p=4294967295$c2FsdA$7XVjoYh1I3Hs05SdSWR7egb3UAC8WuY/c1rJDEBEbME",
        "$argon2id$v=19$m=4194304,t=1,p=4$UYqxtvZ+D8GYE0IIAWBMKQ$QvPeg28oA3H8YuPprHWVwsTFAWT/YekKo6v5vSLKpnY",
        "md5$UIf6UwaVQRTjU2moMah4bc$43c1ed9fc04d6024448faac035af9d88",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$pbkdf2-sha256$i=1000$c2FsdA$",
        "$bcrypt-sha256$v=2,t=2b,r=31$rTf.63kXigJCrJLSRHyU7e$pGVeq4WudAXJblaAaVzJkHkJswULgq.",
        "$bcrypt-sha256$v=3,t=2b,r=4$rTf.63kXigJCrJLSRHyU7e$pGVeq4WudAXJblaAaVzJkHkJswULgq.",
        "bcrypt_sha256$$2x$04$/eE4FJY0Fum.ivnnP4KfCedzHOQs2YYAySBgIdaRZdVqYvImTk5EC",
        "$scrypt$ln=4,r=8,p=1$c2FsdA$c2hvcnQ",
        "$scrypt$ln=0,r=8,p=1$c2FsdA$7XVjoYh1I3Hs05SdSWR7egb3UAC8WuY/c1rJDEBEbME",
        "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=c2hvcnQ=$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
    ];
    let record = |(number, hash): (usize, &&str)| {
        let email = format!("a{number}@example.test");
        json!({ "id": format!("{number}"), "email": email, "password_hash": hash }).to_string()
    };
    let lines: Vec<String> = hashes.iter().enumerate().map(record).collect();

    let imported = server.import_text("ndjson", "accounts.ndjson", &lines.join("\n")).await;

    expect_created(&imported, 14);
    assert_eq!(imported.count("need a reset: the cost of the password hash exceeds"), 6);
    assert_eq!(imported.count("need a reset: not a supported kind"), 2);
    assert_eq!(imported.count("need a reset: malformed"), 6);
    assert!(imported.stderr.contains("line 1: needs a password reset: the cost"));
    assert_eq!(server.database.count("account WHERE password_hash IS NOT NULL").await, 0);
    server.log_in("a5@example.test", "password").await.expect_error(401, "AUTH_FAILED");
    let token = server.reset_token("a5@example.test").await;
    let reset = json!({ "token": token, "new_password": PASSWORD });
    server.post("/api/auth/password/reset", &reset).await.expect_status(204);
    server.log_in("a5@example.test", PASSWORD).await.expect_status(200);
}

#[tokio::test]
async fn django_objects_are_imported() {
    let server = server().await;
    let hash = HASHES[9].1;
    let user = |pk: u32, email: &str, password: &str, is_active: bool| {
        json!({ "model": "auth.user", "pk": pk, "fields": {
            "password": password, "last_login": "2026-01-14T10:00:00.123Z", "is_superuser": false,
            "username": format!("user{pk}"), "first_name": "Ada", "last_name": "Lovelace",
            "email": email, "is_staff": false, "is_active": is_active,
            "date_joined": "2025-01-14T10:00:00Z", "groups": [], "user_permissions": [],
        }})
    };
    let users = json!([
        user(1, "ada@example.test", hash, true),
        user(2, "off@example.test", hash, false),
        user(3, "none@example.test", "!gT77dXgIb9UMtKgNNu3RkPPY9xWlKKEYQ4DSOLEH", true),
        { "model": "auth.group", "pk": 1, "fields": { "name": "editors" } },
    ]);

    let imported = server.import_text("django", "users.json", &users.to_string()).await;

    assert_eq!(imported.counts(), [3, 0, 0, 0, 0, 1], "{}", imported.stderr);
    assert_eq!(imported.status, 1);
    assert!(imported.stderr.contains("record 4: refused: not a login account"));
    assert_eq!(imported.count("have no password"), 1);
    server.log_in("off@example.test", PASSWORD).await.expect_error(401, "AUTH_FAILED");
    let tokens = server.log_in("ada@example.test", PASSWORD).await.tokens();
    // uuid.uuid5(uuid.NAMESPACE_URL, "django:1")
    assert_eq!(tokens.user_id.to_string(), "46d14808-6109-52b5-b1d2-3d53394f0887");
    let me = server.me(&tokens.access_token).await.json();
    assert_eq!(me["created_at"], "2025-01-14T10:00:00Z");
    assert_eq!(me["given_name"], "Ada");
    assert_eq!(me["family_name"], "Lovelace");
}

/// The samples of Auth0's documentation: the export of hashes by Auth0's support, and user
/// profiles.
#[tokio::test]
async fn auth0_exports_are_imported() {
    let server = server().await;
    let hash = HASHES[0].1;
    let lines = [
        json!({ "_id": { "$oid": "60425dc43519d90068f82973" }, "email_verified": true,
                "email": "ada@example.test", "passwordHash": hash, "tenant": "dev",
                "password_set_date": { "$date": "2021-03-05T16:35:16.775Z" },
                "connection": "Username-Password-Authentication", "_tmp_is_unique": true }),
        json!({ "_id": { "$oid": "5dea9f9c82dd7c0e76e4ec93" }, "alt_id": "euclid",
                "passwordHash": hash, "connection": "Username-Password-Authentication",
                "identifiers": [{ "type": "email", "value": "euclid@example.test", "verified": true }] }),
        json!({ "user_id": "auth0|blocked", "email": "blocked@example.test", "blocked": true,
                "password_hash": hash, "created_at": "2025-01-14T10:00:00.000Z",
                "name": "blocked@example.test", "given_name": "Block" }),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");

    let imported = server.import_text("auth0", "users.json", &text).await;

    expect_created(&imported, 3);
    let ada = server.log_in("ada@example.test", PASSWORD).await.tokens();
    // uuid.uuid5(uuid.NAMESPACE_URL, "auth0:auth0|60425dc43519d90068f82973")
    assert_eq!(ada.user_id.to_string(), "4f963893-0ccd-55ac-a36b-46be70a2488b");
    expect_login(&server, "euclid@example.test", PASSWORD).await;
    server.log_in("blocked@example.test", PASSWORD).await.expect_error(401, "AUTH_FAILED");
    assert_eq!(server.database.count("account WHERE email_verified_at IS NOT NULL").await, 0);
}

/// The test vector that Firebase publishes (<https://github.com/firebase/scrypt>).
#[tokio::test]
async fn firebase_export_is_imported() {
    let server = server().await;
    let config = server.file(
        "hash-config.txt",
        "hash_config {\n  algorithm: SCRYPT,\n  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,\n  base64_salt_separator: Bw==,\n  rounds: 8,\n  mem_cost: 14,\n}\n",
    );
    let users = json!({ "users": [
        { "localId": "uid-1", "email": "user1@example.test", "emailVerified": true,
          "passwordHash": "lSrfV15cpx95_sZS2W9c9Kp6i_LVgQNDNC_qzrCnh1SAyZvqmZqAjTdn3aoItz-VHjoZilo78198JAdRuid5lQ==",
          "salt": "42xEC-ixf3L2lw==", "displayName": "User One", "createdAt": "1768384800123",
          "lastSignedInAt": "1768384800123", "providerUserInfo": [] },
        { "localId": "uid-2", "email": "google@example.test", "emailVerified": true,
          "createdAt": "1768384800123",
          "providerUserInfo": [{ "providerId": "google.com", "rawId": "1" }] },
        { "localId": "uid-3", "phoneNumber": "+491700000000", "providerUserInfo": [] },
    ]});
    let path = server.file("users.json", users.to_string());
    let (path, config) = (path.to_str().unwrap(), config.to_str().unwrap());

    let without = server.import("firebase", &[path]).await;
    let imported = server.import("firebase", &["--firebase-hash-config", config, path]).await;

    assert_ne!(without.status, 0);
    assert!(without.stderr.contains("--firebase-hash-config"), "{}", without.stderr);
    assert_eq!(imported.counts(), [2, 0, 0, 0, 0, 1], "{}", imported.stderr);
    assert!(imported.stderr.contains("record 3: refused: there is no email address"));
    assert_eq!(imported.count("scrypt ln=14 r=8 p=1"), 1);
    expect_login(&server, "user1@example.test", "user1password").await;
    server.log_in("google@example.test", "").await.expect_error(401, "AUTH_FAILED");
}

#[tokio::test]
async fn supabase_table_is_imported() {
    let server = server().await;
    let hash = HASHES[0].1;
    let csv = format!(
        "instance_id,id,aud,role,email,encrypted_password,email_confirmed_at,last_sign_in_at,created_at,banned_until,deleted_at,is_anonymous\n\
         00000000-0000-0000-0000-000000000000,8f2b0e1a-6a0f-4c43-9d5f-0f6f6b2d7a11,authenticated,authenticated,ada@example.test,{hash},2021-03-05 16:35:16.775+00,2022-03-05 16:35:16.775+00,2021-03-05 16:35:16.775+00,,,false\n\
         00000000-0000-0000-0000-000000000000,8f2b0e1a-6a0f-4c43-9d5f-0f6f6b2d7a12,authenticated,authenticated,banned@example.test,{hash},,,2021-03-05 16:35:16.775+00,2924-03-05 16:35:16.775+00,,false\n\
         00000000-0000-0000-0000-000000000000,8f2b0e1a-6a0f-4c43-9d5f-0f6f6b2d7a13,authenticated,authenticated,past@example.test,{hash},,,2021-03-05 16:35:16.775+00,2022-03-05 16:35:16.775+00,,false\n\
         00000000-0000-0000-0000-000000000000,8f2b0e1a-6a0f-4c43-9d5f-0f6f6b2d7a14,authenticated,authenticated,,,,,2021-03-05 16:35:16.775+00,,,true\n"
    );
    let path = server.file("users.csv", csv);

    let imported = server.import("supabase", &["--trust-verified", path.to_str().unwrap()]).await;

    assert_eq!(imported.counts(), [3, 0, 0, 0, 0, 1], "{}", imported.stderr);
    assert!(imported.stderr.contains("line 5: refused: not a login account: anonymous"));
    let ada = server.log_in("ada@example.test", PASSWORD).await.tokens();
    assert_eq!(ada.user_id.to_string(), "8f2b0e1a-6a0f-4c43-9d5f-0f6f6b2d7a11");
    assert_eq!(server.me(&ada.access_token).await.json()["email_verified"], true);
    server.log_in("banned@example.test", PASSWORD).await.expect_error(401, "AUTH_FAILED");
    let past = server.log_in("past@example.test", PASSWORD).await.tokens();
    assert_eq!(server.me(&past.access_token).await.json()["email_verified"], false);
}

/// A realm export as Keycloak 26 writes it: Argon2 is its default, earlier versions used PBKDF2.
#[tokio::test]
async fn keycloak_realm_is_imported() {
    let server = server().await;
    let salt = "kBUejdLNkwbBjzX6jZTAsA==";
    let user = |number: u32, value: &str, data: serde_json::Value| {
        let secret = json!({ "value": value, "salt": salt, "additionalParameters": {} });
        json!({
            "id": format!("1c8e8a10-7c5c-4a54-8f8a-00000000000{number}"),
            "username": format!("user{number}"), "email": format!("user{number}@example.test"),
            "emailVerified": true, "enabled": number != 5, "createdTimestamp": 1_768_384_800_123_u64,
            "firstName": "Ada", "lastName": "Lovelace", "totp": false, "requiredActions": [],
            "credentials": [
                { "id": "c", "type": "otp", "secretData": "{}", "credentialData": "{}" },
                { "id": "d", "type": "password", "userLabel": "My password", "createdDate": 1,
                  "secretData": secret.to_string(), "credentialData": data.to_string() },
            ],
        })
    };
    let argon2 = json!({ "hashIterations": 5, "algorithm": "argon2", "additionalParameters": {
        "hashLength": ["32"], "memory": ["7168"], "type": ["id"], "version": ["1.3"],
        "parallelism": ["1"] } });
    let pbkdf2 = |algorithm: &str| json!({ "hashIterations": 1000, "algorithm": algorithm, "additionalParameters": {} });
    let sha256 =
        "qlHWcvw+eu1XxsOZqrzVQCRRmp/yMPfebh0xzd9nctGvWs1ldNuZ1dykHghDoLw4V5LX7gOHbtCBa2wXdGcRmQ==";
    let realm = json!({ "id": "r", "realm": "example", "enabled": true, "clients": [{ "users": 1 }],
        "users": [
            user(1, "ibwRKFDUYA1HiLHBpWd53JUuyrl1O0Hu/Zi5KtAlycg=", argon2),
            user(2, sha256, pbkdf2("pbkdf2-sha256")),
            user(3, "wV9v7LICjkAQMWZZvIzNghNVDocAA55k36XfX8bhN9PgkAg4ECoEErpdBwtjnt8grSrB8RgoPyLHI2c6B2WaCw==", pbkdf2("pbkdf2-sha512")),
            user(4, "xVNEE1DuMnIsD97y6azHwbiRC5YoFYPqVbyOEAHa+eFla8QBo87Mh9MQXE/DMrGuNF4gLZqyg5RFLdS8GSpsZg==", pbkdf2("pbkdf2")),
            user(5, sha256, pbkdf2("pbkdf2-sha256")),
            { "id": "1c8e8a10-7c5c-4a54-8f8a-000000000009", "username": "service-account-api",
              "enabled": true, "serviceAccountClientId": "api" },
        ], "roles": {} });

    let imported = server.import_text("keycloak", "realm.json", &realm.to_string()).await;

    assert_eq!(imported.counts(), [5, 0, 0, 0, 0, 1], "{}", imported.stderr);
    for number in 1..=4 {
        expect_login(&server, &format!("user{number}@example.test"), PASSWORD).await;
    }
    let tokens = server.log_in("user1@example.test", PASSWORD).await.tokens();
    assert_eq!(tokens.user_id.to_string(), "1c8e8a10-7c5c-4a54-8f8a-000000000001");
    server.log_in("user5@example.test", PASSWORD).await.expect_error(401, "AUTH_FAILED");

    let without = server.import_text("keycloak", "empty.json", r#"{"realm":"example"}"#).await;
    assert_eq!(without.status, 1);
    assert!(without.stderr.contains("has no member `users`"), "{}", without.stderr);
}

/// `--map` names the columns of a table that no format describes.
#[tokio::test]
async fn columns_are_mapped() {
    let server = server().await;
    let csv = format!("nr,mail,pw,on\n7,ada@example.test,{},yes\n", HASHES[0].1);
    let path = server.file("people.csv", csv);
    let map = server
        .file("map.toml", "id = 'nr'\nemail = 'mail'\npassword_hash = 'pw'\nenabled = 'on'\n");
    let (path, map) = (path.to_str().unwrap(), map.to_str().unwrap());
    let wrong = server.file("wrong.toml", "e_mail = 'mail'");

    let refused = server.import("ndjson", &["--map", wrong.to_str().unwrap(), path]).await;
    let imported = server.import("ndjson", &["--map", map, path]).await;

    assert!(refused.stderr.contains("unknown member e_mail"), "{}", refused.stderr);
    expect_created(&imported, 1);
    expect_login(&server, "ada@example.test", PASSWORD).await;
}
