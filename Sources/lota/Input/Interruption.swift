import Foundation
import Synchronization

/// Ctrl-C as a question that the program asks, instead of its end.
enum Interruption {
  private static let isRaised = Atomic<Bool>(false)

  /// From now on Ctrl-C sets a flag, and ends a waiting read.
  static func catchAll() {
    // The handler may not be what makes the flag.
    isRaised.store(false, ordering: .relaxed)
    handle(SIGINT, restarts: false) { _ in Interruption.isRaised.store(true, ordering: .relaxed) }
  }

  /// From now on Ctrl-C and SIGTERM set a flag, for a run to look at after its step; a second one ends the program at once.
  static func endStep() {
    isRaised.store(false, ordering: .relaxed)
    for signal in [SIGINT, SIGTERM] {
      handle(signal, restarts: true) { signal in
        if Interruption.isRaised.exchange(true, ordering: .relaxed) { _exit(128 + signal) }
        // Nothing but a system call is allowed here.
        let text: StaticString = "\nfinishing the step, then saving; once more to stop at once\n"
        _ = write(2, text.utf8Start, text.utf8CodeUnitCount)
      }
    }
  }

  static var isPending: Bool { isRaised.load(ordering: .relaxed) }

  /// Whether Ctrl-C came since it was last asked.
  static func take() -> Bool { isRaised.exchange(false, ordering: .relaxed) }

  /// - Parameter restarts: whether a call that waits goes on after the signal; else a read that waits for a line comes back.
  private static func handle(
    _ signal: Int32, restarts: Bool, _ handler: @escaping @convention(c) (Int32) -> Void
  ) {
    var action = sigaction()
    if restarts { action.sa_flags = SA_RESTART }
    #if canImport(Darwin)
    action.__sigaction_u.__sa_handler = handler
    #else
    action.__sigaction_handler.sa_handler = handler
    #endif
    sigaction(signal, &action, nil)
    // Whoever started the program may have left it blocked, as the threads of a pool have it.
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, signal)
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }
}
