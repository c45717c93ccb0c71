//! Which logins come from a new device, so that the owner of the account is notified.
//!
//! A login is compared with the earlier sessions of the account whose rows are still stored. Its
//! device is known if one of these sessions has the same `User-Agent`, except for digits and dots,
//! and was last used from the same network. A network is the first 16 bits of an IPv4 address, or
//! the first 32 bits of an IPv6 address. So neither an update of the browser nor a new IP address
//! from the same provider causes a notice. A login without such sessions does not cause a notice either.

use std::net::IpAddr;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Origin, sanitized};
use crate::domain::network;
use crate::entity::session::{Column, Entity};

/// Maximum number of sessions with which a login is compared: the newest.
const MAX_COMPARED: u64 = 100;

/// Number of leading bits of an IP address that identify the network. An IPv4 address is mapped to
/// IPv6, which prepends 96 bits.
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
        // This term does not change the order, because it is true for each row. Without this term,
        // PostgreSQL might find the rows of the account by reading the primary key backwards,
        // through the sessions of all other accounts.
        .order_by_desc(Column::AccountId.eq(account_id))
        .order_by_desc(Column::Id)
        .limit(MAX_COMPARED)
        .into_tuple::<(Option<String>, Option<String>)>();
    let earlier = db.read(|db| async move { earlier.all(&db).await }).await?;
    let device = device(origin.user_agent.as_deref(), origin.address);
    let is_known = earlier.iter().any(|(user_agent, address)| {
        let address = address.as_ref().and_then(|address| address.parse().ok());
        self::device(user_agent.as_deref(), address) == device
    });
    Ok(!earlier.is_empty() && !is_known)
}

/// What identifies a device: the program and the network.
fn device(user_agent: Option<&str>, address: Option<IpAddr>) -> (String, u128) {
    let program = sanitized(user_agent.unwrap_or_default());
    let program = program.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect();
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
