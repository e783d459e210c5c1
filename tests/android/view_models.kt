package androidx.activity

import androidx.lifecycle.ViewModel

// The one thing in api_stubs.txt's spirit that only Kotlin can say.
inline fun <reified T : ViewModel> ComponentActivity.viewModels(): Lazy<T> = TODO()
