//! Which logins come from a new device, so that the owner of the account is notified.
//!
//! A device is known if an earlier session of the account, whose row is still stored, has the same
//! `User-Agent`, except for its numbers, and was last used from a client address in the same
//! network: the same 16 bits of an IPv4 address, or 32 bits of an IPv6 address. So an update of the browser and a new address
//! from the same provider do not cause a notice. The first login of an account whose sessions are
//! all deleted causes none either, because there is nothing to compare it with.

use std::net::IpAddr;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Origin, sanitized};
use crate::domain::network;
use crate::entity::session::{Column, Entity};

/// How many sessions of the account are compared, the newest first.
const SESSIONS: u64 = 100;

/// Bits of an address that identify the network.
const V4_PREFIX: u8 = 96 + 16;
const V6_PREFIX: u8 = 32;

/// Whether a login comes from a device that the account has not used.
///
/// # Errors
/// If the database refuses.
pub(super) async fn is_new(db: &Db, account_id: Uuid, origin: &Origin) -> Result<bool, DbErr> {
    let earlier = Entity::find()
        .select_only()
        .column(Column::UserAgent)
        .column(Column::Address)
        .filter(Column::AccountId.eq(account_id))
        // Always true. Without it, PostgreSQL may read the primary key backwards to find the rows
        // of one account, through the sessions of all others.
        .order_by_desc(Column::AccountId.eq(account_id))
        .order_by_desc(Column::Id)
        .limit(SESSIONS)
        .into_tuple::<(Option<String>, Option<String>)>();
    let earlier = db.read(|db| async move { earlier.all(&db).await }).await?;
    let device = device(origin.user_agent.as_deref(), origin.address);
    let is_known = earlier.iter().any(|(user_agent, address)| {
        let address = address.as_ref().and_then(|address| address.parse().ok());
        self::device(user_agent.as_deref(), address) == device
    });
    Ok(!earlier.is_empty() && !is_known)
}

/// The program and the network.
fn device(user_agent: Option<&str>, address: Option<IpAddr>) -> (String, u128) {
    let program = sanitized(user_agent.unwrap_or_default());
    let program = program.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect();
    // An IPv4 address is compared as an IPv4-mapped IPv6 address.
    let address = address.map(|address| address.to_canonical());
    let network = match address {
        Some(IpAddr::V4(v4)) => v4.to_ipv6_mapped().to_bits() >> (128 - u32::from(V4_PREFIX)),
        address => network::client(address, V6_PREFIX),
    };
    (program, network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_is_a_program_in_a_network() {
        let known = device(Some("Mozilla/5.0 Firefox/130.0"), Some([203, 0, 113, 9].into()));
        for (user_agent, address, is_same) in [
            ("Mozilla/5.0 Firefox/131.0", [203, 0, 2, 1], true),
            ("Mozilla/5.0 Firefox/131.0.2", [203, 0, 113, 9], true),
            ("Mozilla/5.0 Chrome/131.0", [203, 0, 113, 9], false),
            ("Mozilla/5.0 Firefox/130.0", [198, 51, 100, 9], false),
        ] {
            let other = device(Some(user_agent), Some(address.into()));
            assert_eq!(known == other, is_same, "{user_agent} {address:?}");
        }
        let v6 = |text: &str| device(None, Some(text.parse().unwrap()));
        assert_eq!(v6("2001:db8:1::1"), v6("2001:db8:2::2"));
        assert_ne!(v6("2001:db8:1::1"), v6("2001:db9:1::1"));
    }
}
