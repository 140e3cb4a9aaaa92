//! The rig itself: the program boots as the first process and powers off.

use std::time::Duration;

use rig::initramfs::Initramfs;
use rig::kernels;
use rig::program::Build;

#[test]
fn powers_off_when_done() {
    let initramfs = Initramfs::with_program(Build::Full).unwrap();
    let initramfs = initramfs.write("boot").unwrap();
    let kernel = kernels::find(kernels::DEFAULT).unwrap();
    let mut machine = kernel.machine(&initramfs).unwrap();
    machine.name = "boot".to_owned();
    machine.args = vec!["-y".to_owned()];
    let console = machine.run(Duration::from_secs(30)).unwrap();
    console.expect_power_off().unwrap();
    assert!(console.text().contains("Press enter to exit"));
}
