//! Placeholder.
/// Assets.
#[derive(Debug)]
pub struct Assets;
impl Assets {
    /// Load.
    pub fn load() -> Self {
        Self
    }
}
