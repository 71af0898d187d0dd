use super::*;
use crate::observe::sample;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the eye: serves the sample fleet until it is stopped and prints where"]
async fn serve_the_sample() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}/", listener.local_addr().unwrap());
    let (sender, status) = watch::channel(Arc::new(sample::well()));
    tokio::spawn(async move {
        let mut round = 0_u64;
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            round += 1;
            let mut status = if round / 40 % 2 == 0 { sample::well() } else { sample::failing_over() };
            status.groups[0].master.offset = Some(48_213_377 + round * 1031);
            sender.send_replace(Arc::new(status));
        }
    });
    serve(listener, status, std::future::pending()).await;
}
