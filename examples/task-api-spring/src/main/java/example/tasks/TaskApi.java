package example.tasks;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** A to-do list for each user. README.md describes the settings. */
@SpringBootApplication
public class TaskApi {

    public static void main(String[] arguments) {
        SpringApplication.run(TaskApi.class, arguments);
    }
}
