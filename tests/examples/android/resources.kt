package edgeort.example

object R {
    object string {
        const val app_name = 0
        const val camera = 1
        const val gallery = 2
    }
}
