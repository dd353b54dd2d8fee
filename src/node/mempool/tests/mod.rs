mod block_requests;
mod model;
mod tx_requests;
