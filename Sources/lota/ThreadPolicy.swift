#if canImport(Glibc)
import Glibc
#endif

/// How OpenMP's threads wait at barriers.
///
/// Spinning wins nothing on free cores and makes a step ten times slower on busy ones. The library reads the variable
/// when it is loaded, before any code of ours runs, so the program starts itself again with it; `./lota` sets it
/// beforehand. A value that the user has set stays.
enum ThreadPolicy {
  static func apply() {
    #if canImport(Glibc)
    guard getenv("OMP_WAIT_POLICY") == nil, getenv("GOMP_SPINCOUNT") == nil else { return }
    setenv("OMP_WAIT_POLICY", "passive", 1)
    // Comes back only when it fails; then the run is slower, not wrong.
    execv("/proc/self/exe", CommandLine.unsafeArgv)
    #endif
  }
}
