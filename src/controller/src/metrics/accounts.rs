//! Accounts: how long their requests waited for their turn, and whether SWR refuses their key.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use swr_operator_swr::ObserveAccount;

/// Series by account.
#[derive(Clone, Default)]
pub struct Accounts {
    throttled: Family<AccountLabel, Counter<f64, AtomicU64>>,
    circuit_open: Family<AccountLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccountLabel {
    account: String,
}

/// The series of one account.
#[derive(Clone, Default)]
pub struct AccountMeter {
    throttled: Counter<f64, AtomicU64>,
    circuit_open: Gauge,
}

impl Accounts {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let accounts = Accounts::default();
        registry.register(
            "swr_api_throttled_seconds",
            "Time that requests of an account waited for their turn, by its own limits or because SWR answered 429",
            accounts.throttled.clone(),
        );
        registry.register(
            "swr_api_circuit_open",
            "1 while SWR refuses the account's credential so often that it is asked once in five minutes only, else 0",
            accounts.circuit_open.clone(),
        );
        accounts
    }

    /// The series of the account of this name.
    pub fn meter(&self, account: &str) -> AccountMeter {
        let label = AccountLabel {
            account: account.to_owned(),
        };
        AccountMeter {
            throttled: self.throttled.get_or_create(&label).clone(),
            circuit_open: self.circuit_open.get_or_create(&label).clone(),
        }
    }

    /// There is no account of this name any more.
    pub fn forget(&self, account: &str) {
        let label = AccountLabel {
            account: account.to_owned(),
        };
        self.throttled.remove(&label);
        self.circuit_open.remove(&label);
    }
}

impl ObserveAccount for AccountMeter {
    fn waited(&self, time: Duration) {
        self.throttled.inc_by(time.as_secs_f64());
    }

    fn circuit_is(&self, open: bool) {
        self.circuit_open.set(i64::from(open));
    }
}
