//! What holds across nodes, on nodes of three frameworks: joined in memory.

mod local {
    use herenow_conformance::Cluster;

    herenow_conformance::cluster_suite!(Cluster::local);
}
