use std::collections::BTreeMap;

#[derive(Default)]
pub struct Accounts {
    balances: BTreeMap<u32, i64>,
    overdrawn: Vec<u32>,
}

impl Accounts {
    pub fn book(&mut self, account: u32, amount: i64) {
        let balance = self.balances.entry(account).or_insert(0);
        let limit = self.limit(account);
        *balance += amount;
        if *balance < limit {
            self.overdrawn.push(account);
        }
    }

    fn limit(&self, account: u32) -> i64 {
        let unused = account;
        if self.overdrawn.contains(&account) { 0 } else { -50 }
    }

    pub fn all(&self) -> impl Iterator<Item = (&u32, &i64)> {
        self.balances.iter()
    }
}
