//! The queue for mails that commands send.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use crate::config::MailSettings;
use crate::domain::keys::MasterKeys;
use crate::domain::mail::MailQueue;

/// The server's settings that concern mails.
#[derive(Debug, Args)]
pub(in crate::cli) struct MailQueueSettings {
    /// File with the master key, which is needed if mail is on.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    master_key_file: PathBuf,
    #[command(flatten)]
    mail: MailSettings,
}

impl MailQueueSettings {
    /// The queue. It drops all mails if mail is off.
    ///
    /// # Errors
    /// If a setting is missing, or the master key cannot be read. No master key is created.
    pub(super) fn queue(&self) -> anyhow::Result<MailQueue> {
        Ok(self.open()?.map_or_else(MailQueue::off, |(mail, _)| mail))
    }

    /// The queue and the master key. `None` if mail is off.
    ///
    /// # Errors
    /// As [`Self::queue`].
    pub(super) fn open(&self) -> anyhow::Result<Option<(MailQueue, MasterKeys)>> {
        if !self.mail.is_on() {
            return Ok(None);
        }
        self.mail.check().map_err(|error| anyhow!(error))?;
        let master = MasterKeys::open(&self.master_key_file, true)?;
        // Commands have no client address, so the length of the IPv6 prefix does not matter.
        let queue = MailQueue::new(&self.mail, master.limit_key()?, 128);
        Ok(Some((queue, master)))
    }
}
