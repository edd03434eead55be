//! Running one process in namespaces on an overlay: the executor that RUN steps and containers share.
