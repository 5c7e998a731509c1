import Experiments
import Foundation

/// Ends the program when the plan that started it is gone: a stage without its plan would go on unseen.
enum ParentWatch {
  static func begin() {
    guard let text = ProcessInfo.processInfo.environment[ProcessRunner.parentVariable], let parent = Int32(text) else {
      return
    }
    Thread.detachNewThread {
      while getppid() == parent { usleep(500_000) }
      _exit(EXIT_FAILURE)
    }
  }
}
