import Foundation
import Synchronization

/// Ctrl-C as a question that the program asks, instead of its end.
enum Interruption {
  private static let isRaised = Atomic<Bool>(false)

  /// From now on Ctrl-C sets a flag, and ends a waiting read.
  static func catchAll() {
    // The handler may not be what makes the flag.
    isRaised.store(false, ordering: .relaxed)
    // Without SA_RESTART: a read that waits for a line comes back.
    var action = sigaction()
    let handler: @convention(c) (Int32) -> Void = { _ in Interruption.isRaised.store(true, ordering: .relaxed) }
    #if canImport(Darwin)
    action.__sigaction_u.__sa_handler = handler
    #else
    action.__sigaction_handler.sa_handler = handler
    #endif
    sigaction(SIGINT, &action, nil)
  }

  static var isPending: Bool { isRaised.load(ordering: .relaxed) }

  /// Whether Ctrl-C came since it was last asked.
  static func take() -> Bool { isRaised.exchange(false, ordering: .relaxed) }
}
