//! A database that lets in who AWS says that one is: `MONGODB-AWS`, with no secret of ours.
//!
//! Only Atlas and MongoDB's enterprise server know it, so the server here is a stand-in that does
//! its part of the conversation and writes down ours.

use std::sync::{Arc, Mutex, PoisonError};

use black_box::{emulator::Function, events, http_client::Request, songs};
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

/// What a client proved who it is with.
type Proof = Arc<Mutex<Option<Document>>>;

async fn start() -> (String, Proof) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a port");
    let host = listener.local_addr().expect("is bound").to_string();
    let proof = Proof::default();
    let seen = Arc::clone(&proof);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                // The client closes the connection in the end.
                let _ = converse(stream, &seen).await;
            });
        }
    });
    (host, proof)
}

async fn converse(mut stream: TcpStream, proof: &Proof) -> std::io::Result<()> {
    loop {
        let mut header = [0; 16];
        stream.read_exact(&mut header).await?;
        let number = |index: usize| {
            i32::from_le_bytes(header[index..index + 4].try_into().expect("has four bytes"))
        };
        let mut body = vec![0; usize::try_from(number(0)).expect("is a length") - header.len()];
        stream.read_exact(&mut body).await?;
        let (skipped, reply_code, prelude) = match number(12) {
            // Flags, then the one section of kind 0.
            OP_MSG => (5, OP_MSG, vec![0; 5]),
            // Flags, a name that ends with a zero, two numbers; the reply has a cursor and counts.
            OP_QUERY => {
                let name = body[4..].iter().position(|byte| *byte == 0).expect("has an end");
                let counts = [&[0; 16][..], &1_i32.to_le_bytes()].concat();
                (4 + name + 1 + 8, OP_REPLY, counts)
            }
            code => panic!("a message of kind {code}"),
        };
        let command = Document::from_reader(&mut &body[skipped..]).expect("is a document");
        let reply = answer(&command, proof).to_vec().expect("is a document");
        let length = i32::try_from(16 + prelude.len() + reply.len()).expect("is short");
        let head = [length, 0, number(4), reply_code].map(i32::to_le_bytes).concat();
        stream.write_all(&[head, prelude, reply].concat()).await?;
    }
}

fn answer(command: &Document, proof: &Proof) -> Document {
    let sent = || {
        let payload = command.get_binary_generic("payload").expect("has a payload");
        Document::from_reader(&mut payload.as_slice()).expect("is a document")
    };
    let said = |document: Document| Binary {
        subtype: BinarySubtype::Generic,
        bytes: document.to_vec().expect("is a document"),
    };
    match command.keys().next().map(String::as_str) {
        Some("saslStart") => {
            assert_eq!(command.get_str("mechanism").expect("is named"), "MONGODB-AWS");
            // The client's nonce, and as much of ours.
            let mut nonce = sent().get_binary_generic("r").expect("has a nonce").clone();
            nonce.extend([7; 32]);
            let nonce = Binary { subtype: BinarySubtype::Generic, bytes: nonce };
            let payload = said(doc! { "s": nonce, "h": "sts.amazonaws.com" });
            doc! { "ok": 1, "conversationId": 1, "done": false, "payload": payload }
        }
        Some("saslContinue") => {
            *proof.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent());
            doc! { "ok": 1, "conversationId": 1, "done": true, "payload": said(doc! {}) }
        }
        Some("find") => {
            let nothing = doc! { "id": 0_i64, "ns": "segue.chunks", "firstBatch": [] };
            doc! { "ok": 1, "cursor": nothing }
        }
        _ => doc! {
            "ok": 1, "ismaster": true, "isWritablePrimary": true, "helloOk": true,
            "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 17,
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_proves_its_role_to_the_database() {
    let (host, proof) = start().await;
    let options = "authMechanism=MONGODB-AWS&authSource=%24external&directConnection=true";
    let url = format!("mongodb://{host}/segue?{options}");
    let function = Function::start("streaming", &[("DATABASE_URL", &url)]).await;
    let nothing = songs::ready("Nothing", 0);
    let revision = nothing.revision.expect("is ready").id;
    let target = format!("/stream/{}/{revision}/128k/0.m4s", nothing.id);
    let event = events::http_api(&Request::get(target), "$default");
    let answer = events::answer(&function.invoke(&event).await.expect("answers"));
    assert_eq!(answer.status, 404, "{}\n{}", answer.text(), function.process().log());

    let proof = proof.lock().unwrap_or_else(PoisonError::into_inner).take().expect("was asked for");
    let signature = proof.get_str("a").expect("is signed");
    assert!(
        signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"),
        "{signature}"
    );
    assert!(signature.contains("/sts/aws4_request"), "{signature}");
    // The role's session, which Lambda gives each environment of a function.
    assert_eq!(proof.get_str("t").expect("has a token"), "token");
}
