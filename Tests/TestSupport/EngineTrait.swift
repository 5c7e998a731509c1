package import Testing

/// Runs the tests of a suite one at a time, also against suites of other targets: the engine's operations may not be
/// called from several threads at once.
package struct EngineTrait: SuiteTrait, TestTrait, TestScoping {
  package let isRecursive = true

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await EngineLock.shared.acquire()
    do {
      try await function()
    } catch {
      await EngineLock.shared.release()
      throw error
    }
    await EngineLock.shared.release()
  }
}

extension Trait where Self == EngineTrait {
  /// For every suite or test that computes with tensors.
  package static var engine: EngineTrait { EngineTrait() }
}

private actor EngineLock {
  static let shared = EngineLock()

  private var isHeld = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func acquire() async {
    if !isHeld {
      isHeld = true
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  /// Hands the lock to whoever waits longest.
  func release() {
    if waiting.isEmpty { isHeld = false } else { waiting.removeFirst().resume() }
  }
}
